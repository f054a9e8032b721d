"""How far a restart got, and the two ways in which a step ends it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from memleash_responder.core.moments import Stamp
from memleash_responder.core.outcomes import Outcome, Refusal

Seen = Mapping[str, Any]
"""What a step saw, as JSON, for people: it goes into the history with the step's end."""


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """What the finished steps found out. Times are unix seconds, sizes bytes."""

    life: float = 0.0
    """Start time of the process that the request was admitted for."""
    resident_bytes: int = 0
    hard_limit_bytes: int = 0
    held: Stamp | None = None
    new_life: float = 0.0
    new_resident_bytes: int = 0
    seen: Seen = dataclasses.field(default_factory=dict)
    """What the latest step saw."""

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Progress:
        """Return progress that was recorded as JSON."""
        held = raw.get("held")
        return cls(**{**raw, "held": Stamp(**held) if held else None})

    def recorded(self) -> dict[str, Any]:
        """Return what the next step needs, as JSON."""
        return dataclasses.asdict(dataclasses.replace(self, seen={}))

    def facts(self) -> dict[str, Any]:
        """Return all that was found so far, for the history."""
        return {name: value for name, value in self.recorded().items() if value} | dict(self.seen)


class Ended(Exception):
    """A step ends the request."""

    def __init__(self, outcome: Outcome, reason: str, seen: Seen | None = None) -> None:
        self.refusal = Refusal(outcome, reason)
        self.seen: Seen = seen or {}
        super().__init__(reason)


class Refused(Ended):
    """Before the command was sent."""


class Failed(Ended):
    """Badly, after the command was sent."""
