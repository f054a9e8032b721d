"""How far a restart got, and the two ways in which a step ends it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from responder.core.guards import Refusal
from responder.core.outcomes import Outcome
from responder.core.stamps import Stamp


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

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Progress:
        """Return progress that was recorded as JSON."""
        held = raw.get("held")
        return cls(**{**raw, "held": Stamp(**held) if held else None})

    def facts(self) -> dict[str, Any]:
        """What was found so far, for the history."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value}


class Refused(Exception):
    """The request ends before the command was sent."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.reason)


class Failed(Exception):
    """The request ends badly after the command was sent."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        self.refusal = Refusal(outcome, reason)
        super().__init__(reason)
