"""A restart as everybody knows it: who asked for it, how far it got, and what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from memleash_responder.core.moments import Stamp
from memleash_responder.core.outcomes import Outcome

SentCommand = tuple[str, str, Stamp]
"""Host, agent and moment of a restart command that was, or may have been, sent."""

ALERT = "alert"
"""``requested_by`` of what no person asked for."""
APPROVED, DENIED = "approved", "denied"
"""What a person may say of a restart that waits for it."""
REQUESTED, AWAITING_APPROVAL = "requested", "awaiting_approval"
WAITING, QUEUED = "waiting", "queued"
"""What ``step`` says before the workflow's own steps begin."""
NOT_BEGUN = (REQUESTED, AWAITING_APPROVAL, WAITING, QUEUED)
"""At these no host is held, no controller drained, and none of the fleet's places taken."""


@dataclasses.dataclass(frozen=True, slots=True)
class Restart:
    """A restart that was asked for, and how far it got. Times are unix seconds."""

    id: str
    """Empty for one that nobody asked for: what would become of it?"""
    host: str
    agent: str
    requested_at: float
    requested_by: str = ALERT
    """Who asked, or ALERT."""
    forced: bool = False
    step: str = REQUESTED
    fingerprint: str | None = None
    """Of the alert that asked."""
    alert_started_at: float | None = None
    """When that alert began to fire; None when a person asked."""
    approval: str | None = None
    """APPROVED, DENIED, or None: nobody has decided."""
    approval_by: str | None = None
    purpose: str = ""
    """Why a person wants it whatever the agent holds; empty: only above the hard limit."""
    not_before: float | None = None
    """When a person wants it to begin; None: now."""
    waits_for: Outcome | None = None
    """What a request at WAITING waits for, by the word that it would end with."""
    waiting_since: Stamp | None = None
    """Since when it waits for something that has a bound."""
    waited_seconds: float = 0.0
    """How long it did before ``waiting_since``."""
    attempt: int = 0
    """How often it was begun, released its host and was put to wait again."""
    resolved: bool = False
    """The alert went away."""
    command_sent: Stamp | None = None
    life_to_end: float | None = None
    """Start time of the process that the command was sent to end."""
    outcome: Outcome | None = None
    """None while it is open."""
    reason: str = ""
    """Why it ended as it did, or waits."""
    finished_at: float | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What was seen, for people."""
    steps: Sequence[Mapping[str, Any]] = ()
    """``{"step", "started_at", "seconds"}`` for each finished step."""

    @property
    def attempt_id(self) -> str:
        """The id of the workflow of its current attempt."""
        return f"{self.id}:{self.attempt}" if self.attempt else self.id

    @property
    def approved(self) -> bool:
        """Whether a person asked for it, or approved it."""
        return self.approval == APPROVED

    @property
    def denied(self) -> bool:
        """Whether a person said no."""
        return self.approval == DENIED
