"""Works hard, with memory that goes up and down, and leaks nothing."""

from __future__ import annotations

import random

import heart  # type: ignore[import-not-found]  # it stands beside this file

recent: list[bytes] = []
table: dict[int, list[int]] = {}
while True:
    recent = [bytes(random.randrange(1000)) for _ in range(random.randrange(5000))]
    table = {number: [number] for number in range(random.randrange(3000))}
    heart.pause()
