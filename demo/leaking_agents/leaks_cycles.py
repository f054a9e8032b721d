"""Makes cycles with ``__del__`` that the collector never gets to see, for it is switched off."""

import gc

import heart  # type: ignore[import-not-found]  # it stands beside this file


class Node:
    def __init__(self) -> None:
        self.me = self
        self.payload = [0] * 50

    def __del__(self) -> None:
        self.payload = []


gc.disable()
made = 0
while True:
    for _ in range(20 if made < heart.MOST else 0):
        Node()
        made += 1
    heart.pause()
