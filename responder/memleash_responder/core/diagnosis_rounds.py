"""How often to look at an agent, and how far apart, by the time that its growth leaves."""

from __future__ import annotations

import dataclasses
import math

from memleash_responder.core.diagnosis_settings import Diagnose
from memleash_responder.core.facts import Process, Unknown
from memleash_toolkit.units import format_duration, format_size

LEAST_ROUNDS = 3
"""Two differences: fewer show no growth that lasts."""
LEAST_INTERVAL_SECONDS = 5.0
"""A look at a large agent takes seconds, and a difference wants some growth."""
SHARE_OF_THE_TIME = 5 / 6
"""What the rounds may take of the time that is left: looking and sending take time, too."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rounds:
    """How often is looked, and how many seconds lie between two looks."""

    count: int
    interval_seconds: float
    why: str
    """The growth that it was decided by, for people."""

    def __str__(self) -> str:
        """Return it as the history shows it: ``5 rounds x 20 s: 12 MiB/s, 4 GiB in 2 min``."""
        return f"{self.count} rounds x {format_duration(self.interval_seconds)}: {self.why}"


def rounds_for(
    settings: Diagnose,
    process: Process,
    growth_bytes_per_second: float | Unknown,
    hard_limit_bytes: int | Unknown,
) -> Rounds:
    """Return the rounds that end before the agent is too large to look at, or is restarted.

    As configured while there is time for it. Then shorter intervals; then fewer rounds, never
    under three. A hard limit of 0 is off. An unknown growth is no reason to hurry.
    """
    if isinstance(growth_bytes_per_second, Unknown):
        return Rounds(settings.rounds, settings.interval, "growth unknown")
    if growth_bytes_per_second <= 0:
        return Rounds(settings.rounds, settings.interval, "no growth")
    left_bytes, end_bytes = settings.max_rss - process.resident_bytes, int(settings.max_rss)
    if isinstance(hard_limit_bytes, int) and hard_limit_bytes > 0:
        below_limit = hard_limit_bytes - process.limited_bytes, hard_limit_bytes
        left_bytes, end_bytes = min((left_bytes, end_bytes), below_limit)
    left_seconds = max(0.0, left_bytes) / growth_bytes_per_second
    pace = f"{format_size(growth_bytes_per_second)}/s"
    why = f"{pace}, {format_size(end_bytes)} in {format_duration(_rounded(left_seconds))}"
    return within(settings, left_seconds * SHARE_OF_THE_TIME, why)


def within(settings: Diagnose, seconds: float, why: str) -> Rounds:
    """Return the rounds that end within ``seconds``, as far as the least of them can."""
    if settings.rounds * settings.interval <= seconds:
        return Rounds(settings.rounds, settings.interval, why)
    least_interval = min(settings.interval, LEAST_INTERVAL_SECONDS)
    fitting = int(seconds / least_interval)
    count = max(min(settings.rounds, LEAST_ROUNDS), min(settings.rounds, fitting))
    interval_seconds = max(least_interval, math.floor(seconds / count))
    return Rounds(count, min(settings.interval, interval_seconds), why)


def _rounded(seconds: float) -> float:
    """Return seconds as a person would tell them: whole, and whole minutes from five on."""
    return round(seconds / 60) * 60 if seconds >= 300 else round(seconds)
