"""Moments whose age does not depend on the wall clock being left alone.

A stamp names a moment twice: by the wall clock, for people and for other machines, and by the
uptime of the machine that made it. On that machine and in that boot, the uptime tells its age;
otherwise the wall clocks are all there is, and an age below zero counts as zero.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Stamp:
    """A moment."""

    at: float
    """Unix time."""
    boot_id: str
    """Which boot of which machine."""
    uptime_seconds: float
    """Seconds since that boot, suspension included."""

    def age_seconds(self, now: Stamp) -> float:
        """Return how long before ``now`` this was, not negative."""
        if self.boot_id == now.boot_id:
            return max(0.0, now.uptime_seconds - self.uptime_seconds)
        return max(0.0, now.at - self.at)
