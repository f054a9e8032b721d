"""Holds every session it ever served."""

from __future__ import annotations

import heart  # type: ignore[import-not-found]  # it stands beside this file


class Session:
    def __init__(self, number: int) -> None:
        self.number = number
        self.payload = bytes(400)


SESSIONS: list[Session] = []


def serve() -> None:
    if len(SESSIONS) < heart.MOST:
        SESSIONS.extend([Session(number) for number in range(20)])
    heart.pause()


while True:
    serve()
