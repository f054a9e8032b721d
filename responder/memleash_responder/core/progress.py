"""How far a restart got, and the two ways in which a step ends it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

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
    new_life: float = 0.0
    new_resident_bytes: int = 0
    restarted_again: bool = False
    """Somebody restarted the agent once more before the end, as a controller may."""
    seen: Seen = dataclasses.field(default_factory=dict)
    """What the latest step saw."""

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Progress:
        """Return progress that was recorded as JSON, without what an older release added."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in raw.items() if name in names})

    def recorded(self) -> dict[str, Any]:
        """Return what the next step needs, as JSON: what was found, by names that stay.

        What was not found is left out, so that an older release can read it as well.
        """
        fields = dataclasses.asdict(dataclasses.replace(self, seen={}))
        return {name: value for name, value in fields.items() if value}

    def facts(self) -> dict[str, Any]:
        """Return all that was found so far, for the history."""
        return self.recorded() | dict(self.seen)


@dataclasses.dataclass(frozen=True, slots=True)
class RestartStepResult:
    """How a step of a restart ended, as the engine records it."""

    refusal: Refusal | None
    """Why the restart ends here; None: it goes on."""
    begun: bool
    """Whether the command was sent, or may have been."""
    progress: Progress

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> RestartStepResult:
        """Return what was recorded as JSON, by this release or one before it."""
        refusal, progress = raw["refusal"], raw["progress"]
        return cls(
            Refusal(Outcome(refusal["outcome"]), refusal["reason"]) if refusal else None,
            raw["begun"],
            Progress.of(progress) if progress else Progress(),
        )

    def recorded(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "refusal": dataclasses.asdict(self.refusal) if self.refusal else None,
            "begun": self.begun,
            "progress": None if self.refusal else self.progress.recorded(),
        }


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
