"""Leaks a list, and its author added the hook."""

from __future__ import annotations

import heart  # type: ignore[import-not-found]  # it stands beside this file
import memleash_hook  # type: ignore[import-not-found]  # the copied file

memleash_hook.install()
HELD: list[list[int]] = []
while True:
    if len(HELD) < heart.MOST:
        HELD.extend([0] * 20 for _ in range(20))
    heart.pause()
