"""How far a restart got, step by step, as people are shown it."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from memleash_responder.core.moments import Moment
from memleash_responder.core.outcomes import FAILED, Outcome
from memleash_responder.core.restarts import Restart
from memleash_responder.core.steps import Step
from memleash_responder.usecases.restart_steps import STEPS


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
    """One step of one restart."""

    step: Step
    state: StepState
    started_at: Moment | None
    seconds: float | None


def step_states(restart: Restart) -> list[StepProgress]:
    """Return every step in order, but those that an older release did not have."""
    ran = {record["step"]: record for record in restart.steps}
    passed = max((list(STEPS).index(Step(step)) for step in ran), default=-1)
    return [
        _ran(restart, step, ran[step]) if step in ran else _not_ran(restart, step)
        for number, step in enumerate(STEPS)
        if step in ran or number > passed
    ]


def _ran(restart: Restart, step: Step, record: Mapping[str, Any]) -> StepProgress:
    state = StepState.DONE
    last = restart.steps[-1]["step"] == step
    if last and restart.outcome not in (None, Outcome.RESTARTED):
        state = StepState.FAILED if restart.outcome in FAILED else StepState.REFUSED
    return StepProgress(step, state, record["started_at"], record["seconds"])


def _not_ran(restart: Restart, step: Step) -> StepProgress:
    if restart.step == step and restart.outcome is None:
        return StepProgress(step, StepState.RUNNING, _since(restart), None)
    return StepProgress(step, StepState.WAITING, None, None)


def _since(restart: Restart) -> float | None:
    """When the step that runs now began: as the one before it ended."""
    if not restart.steps:
        return None
    before = restart.steps[-1]
    return float(before["started_at"]) + float(before["seconds"])
