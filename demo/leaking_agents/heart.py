"""The heartbeat of an agent: every pause is one, and the longest stall so far stands in a file.

A stall is what a pause took longer than it should, without what the process's threads waited for
a CPU: on a loaded machine everybody waits, but nobody is held.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

MOST = int(os.environ.get("MOST", "100000"))
"""How many things an agent keeps before it leaks no more."""
PAUSE_SECONDS = float(os.environ.get("PAUSE", "0.01"))
"""Longer on an emulated processor, where looking at the time and the waits takes milliseconds."""
AT_ONCE_SECONDS = PAUSE_SECONDS / 2


class _Heart:
    def __init__(self) -> None:
        self.fd = os.open(os.environ["HEART"], os.O_WRONLY | os.O_CREAT)
        self.beats = 0
        self.longest = 0.0
        self.began, self.waited = _now_and_waits()

    def beat(self, seconds: float) -> None:
        now, waited = _now_and_waits()
        excused = sum(waited[task] - self.waited.get(task, 0.0) for task in waited)
        self.beats += 1
        if self.beats > 1:
            self.longest = max(self.longest, now - self.began - seconds - excused)
        self.began, self.waited = now, waited
        os.pwrite(self.fd, b"%12d %12.6f" % (self.beats, self.longest), 0)


def _now_and_waits() -> tuple[float, dict[str, float]]:
    """Return the time, and the seconds that each thread had waited for a CPU until then.

    Both at once, as far as can be: a wait between the two would be excused in the beat that ends
    here, and be a stall in the next.
    """
    while True:
        now, waited = time.monotonic(), _waited_for_a_cpu()
        if time.monotonic() - now < AT_ONCE_SECONDS:
            return now, waited


def _waited_for_a_cpu() -> dict[str, float]:
    """Return the seconds that each thread waited for a CPU; one that ends takes its own away."""
    waited = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            waited[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            continue
    return waited


_heart = _Heart()


def pause(seconds: float = PAUSE_SECONDS) -> None:
    time.sleep(seconds)
    _heart.beat(seconds)
