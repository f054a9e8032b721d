"""Its green threads keep the first hundred thousand jobs; the main one sleeps for ever.

argv: eventlet or gevent.
"""

from __future__ import annotations

import importlib
import os
import sys

NAME = sys.argv[1]
os.environ["EVENTLET_NO_GREENDNS"] = "yes"  # else it would want dnspython
green = importlib.import_module(NAME)
if NAME == "gevent":
    importlib.import_module("gevent.monkey").patch_all()
else:
    green.monkey_patch()

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
            if len(self.done) < heart.MOST:
                self.done.extend(Job(number) for number in range(20))
            heart.pause()


green.spawn(Queue().work)
green.sleep(10**6)
