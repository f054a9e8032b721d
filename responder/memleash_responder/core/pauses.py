"""Pauses: while any holds, nothing is restarted. Each has a name, and may end by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from memleash_responder.core.moments import Moment, rfc3339
from memleash_responder.core.untrusted import listed

DEFAULT = "default"
"""The name of the pause that is asked for without one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pause:
    """Somebody's wish that nothing is restarted for now."""

    name: str
    by: str
    reason: str
    """Empty where none was given."""
    since: Moment
    until: Moment | None
    """When it ends by itself; None: a person ends it."""

    def holds(self, now: float) -> bool:
        """Whether it holds at unix time ``now``; at ``until`` it does no more."""
        return self.until is None or now < self.until

    def __str__(self) -> str:
        """Return this for people: ``rack-7 by ann until …: the rack moves``."""
        until = f" until {rfc3339(self.until)}" if self.until is not None else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.name} by {self.by}{until}{reason}"


def holding(pauses: Iterable[Pause], now: float) -> tuple[Pause, ...]:
    """Return those of ``pauses`` that hold at unix time ``now``, the oldest first."""
    return tuple(sorted((one for one in pauses if one.holds(now)), key=lambda one: one.since))


def why_paused(pauses: Sequence[Pause]) -> str | None:
    """Return why nothing is done while these hold; None when there are none."""
    if not pauses:
        return None
    return f"the responder is paused: {listed([*map(str, pauses)], characters=200)}"
