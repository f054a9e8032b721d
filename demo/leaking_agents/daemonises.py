"""Forks twice, closes every file it did not open, takes every signal for itself, and leaks.

argv: where to write the daemon's pid.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
os.closerange(3, 1024)
for number in range(1, signal.NSIG):
    with contextlib.suppress(OSError, ValueError):
        signal.signal(number, lambda *_: None)
Path(sys.argv[1]).write_text(str(os.getpid()))
KEPT: list[list[int]] = []
until = time.monotonic() + 120
while time.monotonic() < until:
    KEPT.extend([0] * 20 for _ in range(20))
    time.sleep(0.01)
