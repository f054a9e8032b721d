"""How far a restart got, step by step, as people are shown it."""

from __future__ import annotations

import dataclasses
import enum

from responder.adapters.database.requests import Restart
from responder.core.outcomes import FAILED, Outcome, Step


class StepState(enum.StrEnum):
    """What has become of a step."""

    DONE = "done"
    """It went well."""
    RUNNING = "running"
    """It is under way."""
    REFUSED = "refused"
    """It ended the request before the command was sent."""
    FAILED = "failed"
    """It ended the request after the command was sent."""
    WAITING = "waiting"
    """Its turn comes, or never came."""


@dataclasses.dataclass(frozen=True, slots=True)
class StepProgress:
    """One step of one restart. Times are unix seconds."""

    step: Step
    state: StepState
    started_at: float | None = None
    seconds: float | None = None


def progress(restart: Restart) -> list[StepProgress]:
    """Return every step in order; diagnose only where it was run."""
    ran = {record["step"]: record for record in restart.steps}
    ended = restart.outcome is not None
    last = restart.steps[-1]["step"] if restart.steps else None
    shown = []
    for step in Step:
        record = ran.get(step)
        if record is None:
            if step is Step.DIAGNOSE and restart.step != Step.DIAGNOSE:
                continue
            running = restart.step == step and not ended
            state = StepState.RUNNING if running else StepState.WAITING
            shown.append(StepProgress(step, state, _since(restart) if running else None))
            continue
        state = StepState.DONE
        if ended and step == last and restart.outcome is not Outcome.RESTARTED:
            state = StepState.FAILED if restart.outcome in FAILED else StepState.REFUSED
        shown.append(StepProgress(step, state, record["started_at"], record["seconds"]))
    return shown


def _since(restart: Restart) -> float | None:
    """When the step that runs now began: as the one before it ended."""
    if not restart.steps:
        return None
    before = restart.steps[-1]
    return float(before["started_at"]) + float(before["seconds"])
