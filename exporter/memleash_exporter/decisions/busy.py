"""Whether an agent is busy, from what its sources say."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass


class Busyness(enum.Enum):
    """What a source says about an agent."""

    BUSY = "busy"
    """Interrupting it, or expecting an answer from it, is wrong now."""
    IDLE = "idle"
    """Nothing would be lost by interrupting it."""
    UNKNOWN = "unknown"
    """The source could not be asked, or its word is too old. Neither busy nor idle."""


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """One source's word; ``since`` is the unix time the busyness began, as far as it is known."""

    source: str
    word: Busyness
    since: float | None = None


def combined(reports: Sequence[SourceAnswer]) -> Busyness:
    """Return the agent's word: busy when any source says so, unknown when none can tell."""
    words = {report.word for report in reports}
    for word in (Busyness.BUSY, Busyness.IDLE):
        if word in words:
            return word
    return Busyness.UNKNOWN


def busy_since(reports: Sequence[SourceAnswer], before: float | None, now: float) -> float | None:
    """Return since when (unix time) the agent has been busy without a break, None when it is not.

    ``before`` is the answer of the previous sample: a second source that takes over before the
    first ends continues the same stretch.
    """
    busy = [report for report in reports if report.word is Busyness.BUSY]
    if not busy:
        return None
    if before is not None:
        return before
    return min(now if report.since is None else report.since for report in busy)
