"""Keeps every answer in a cache without a limit; its work is done by a thread, main sleeps."""

from __future__ import annotations

import threading

import heart  # type: ignore[import-not-found]  # it stands beside this file


class Store:
    def __init__(self) -> None:
        self.answers: dict[int, list[int]] = {}

    def answer(self, question: int) -> list[int]:
        return self.answers.setdefault(question, [question] * 20)


def work(store: Store) -> None:
    question = 0
    while True:
        for _ in range(20 if question < heart.MOST else 0):
            question += 1
            store.answer(question)
        heart.pause()


threading.Thread(target=work, args=(Store(),), daemon=True).start()
threading.Event().wait()
