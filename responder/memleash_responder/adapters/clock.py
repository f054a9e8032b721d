"""The clocks of this machine."""

from __future__ import annotations

import time
from pathlib import Path

from memleash_responder.core.moments import Stamp

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock:
    """Wall clock and uptime."""

    def __init__(self) -> None:
        self._boot_id = _BOOT_ID.read_text(encoding="ascii").strip()

    def now(self) -> float:
        """Return unix time."""
        return time.time()

    def stamp(self) -> Stamp:
        """Return this moment, as something whose age survives steps of the wall clock."""
        return Stamp(self.now(), self._boot_id, time.clock_gettime(time.CLOCK_BOOTTIME))
