"""Its greenlets keep every job; the main one sleeps for ever."""

from __future__ import annotations

import gevent.monkey

gevent.monkey.patch_all()

import heart  # type: ignore[import-not-found]  # noqa: E402 - it takes the patched sleep


class Job:
    def __init__(self, number: int) -> None:
        self.number = number
        self.steps = [number] * 50


class Queue:
    def __init__(self) -> None:
        self.done: list[Job] = []

    def work(self) -> None:
        while True:
            self.done.extend(Job(number) for number in range(20))
            heart.pause()


gevent.spawn(Queue().work)
gevent.sleep(10**6)
