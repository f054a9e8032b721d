"""Whether to diagnose an agent now."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from memleash_responder.core.diagnosis_settings import Diagnose
from memleash_responder.core.facts import AgentFacts, Process, Unknown, running, same_life
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.pauses import Pause, why_paused
from memleash_responder.core.policy import Mode
from memleash_toolkit.units import format_size

WITH_REPORT = frozenset({Outcome.DIAGNOSED, Outcome.INCOMPLETE})
"""Words after which there is a report."""

TRY_AGAIN = frozenset(
    {
        Outcome.PAUSED,
        Outcome.OBSERVE_MODE,
        Outcome.HOST_BUSY,
        Outcome.FACTS_UNAVAILABLE,
        Outcome.SSH_UNREACHABLE,
        Outcome.SSH_AUTH_FAILED,
        Outcome.HOST_KEY_MISMATCH,
        Outcome.DISK_FULL,
    }
)
"""Words after which nothing was done to the agent: a later alert may ask for the same life."""


@dataclasses.dataclass(frozen=True, slots=True)
class DiagnosisSituation:
    """The facts that a decision rests on, all read for it."""

    agent: AgentFacts | Unknown
    mode: Mode
    pauses: tuple[Pause, ...]
    """Those that hold."""
    diagnosed_lives: Collection[float]
    """Start times of this agent's lives on this host that had their diagnosis."""
    maintenance: str | None
    """Why the host is out of service; None: it is not."""
    under_way: str | None
    """What else is under way on the host; None: nothing."""
    asked_by_person: bool = False
    """A person may ask again for the same life, and in the mode observe: nothing is changed."""


def may_be_diagnosed(situation: DiagnosisSituation, settings: Diagnose | None) -> Process | Refusal:
    """Return the process to diagnose now, or why not. Unknown means no."""
    if settings is None:
        return Refusal(Outcome.NOT_CONFIGURED, "the agent has no diagnose in the configuration")
    paused = why_paused(situation.pauses)
    if paused is not None:
        return Refusal(Outcome.PAUSED, paused)
    if situation.maintenance is not None:
        return Refusal(Outcome.MAINTENANCE, situation.maintenance)
    process = running(situation.agent)
    if isinstance(process, Unknown):
        return Refusal(Outcome.FACTS_UNAVAILABLE, process.why)
    had_it = any(same_life(process.start_time, life) for life in situation.diagnosed_lives)
    if had_it and not situation.asked_by_person:
        return Refusal(Outcome.ALREADY_DIAGNOSED, "this life of the process was diagnosed before")
    if process.resident_bytes > settings.max_rss:
        held, most = format_size(process.resident_bytes), format_size(settings.max_rss)
        return Refusal(Outcome.TOO_LARGE, f"RSS is {held}, over max_rss {most}")
    if situation.under_way is not None:
        return Refusal(Outcome.HOST_BUSY, situation.under_way)
    if situation.mode is Mode.OBSERVE and not situation.asked_by_person:
        return Refusal(Outcome.OBSERVE_MODE, "every check passed; the mode is observe")
    return process


@dataclasses.dataclass(frozen=True, slots=True)
class DiagnosisStepResult:
    """How a diagnosis stands after a step, as the engine records it."""

    outcome: Outcome | None = None
    """None: it goes on."""
    reason: str = ""
    report: str = ""
    """The time in the report's path, once it is here."""

    @classmethod
    def of(cls, raw: Sequence[str]) -> DiagnosisStepResult:
        """Return what was recorded as JSON, by this release or one before it."""
        outcome, reason, report = raw
        return cls(Outcome(outcome) if outcome else None, reason, report)

    def recorded(self) -> list[str]:
        """Return it as JSON."""
        return [self.outcome or "", self.reason, self.report]
