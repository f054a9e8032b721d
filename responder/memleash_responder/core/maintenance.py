"""Maintenance: a person took a host out of service, for a reason and perhaps until a time."""

from __future__ import annotations

import dataclasses

from memleash_responder.core.moments import Moment, rfc3339


@dataclasses.dataclass(frozen=True, slots=True)
class Maintenance:
    """A person's word about a host. Times are unix seconds."""

    by: str
    reason: str
    since: Moment
    until: Moment | None
    """None: until a person ends it."""

    def holds(self, now: float) -> bool:
        """Whether it holds at unix time ``now``; at ``until`` it does no more."""
        return self.until is None or now < self.until

    def __str__(self) -> str:
        """Return it for people: ``ann: new disks, until 2026-01-31T12:00:00Z``."""
        until = f", until {rfc3339(self.until)}" if self.until is not None else ""
        return f"{self.by}: {self.reason}{until}"
