"""Denials: a person's no to the restarts of one agent on one host, which holds for a while."""

from __future__ import annotations

import dataclasses

from memleash_responder.core.facts import Unknown, same_life
from memleash_responder.core.moments import Moment, rfc3339


@dataclasses.dataclass(frozen=True, slots=True)
class Denial:
    """A no that holds until a time, until the process ends, or until it is taken back."""

    by: str
    since: Moment
    until: Moment | None
    """When it ends by itself; None: with the process that ran when it was said."""
    life: float | None
    """When that process started, unix seconds; None: unknown, so only a person ends it."""

    def holds(self, now: float, start_time: float | Unknown) -> bool:
        """Whether it holds at unix time ``now`` for the process that started at ``start_time``."""
        if self.until is not None:
            return now < self.until
        if self.life is None or isinstance(start_time, Unknown):
            return True
        return same_life(self.life, start_time)

    def __str__(self) -> str:
        """Return this for people: ``denied by ann until …``."""
        if self.until is not None:
            return f"denied by {self.by} until {rfc3339(self.until)}"
        return f"denied by {self.by} for as long as this process lives"
