"""Progress: from a request's record to what each step shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.restarts import AWAITING_APPROVAL, Restart
from memleash_responder.core.steps import Step
from memleash_responder.usecases.restart_steps import STEPS
from memleash_responder.usecases.shown_steps import StepState, step_states

ALL = list(STEPS)


def restart(step: str, ran: Sequence[Step], outcome: Outcome | None = None, **more: Any) -> Restart:
    steps = [
        {"step": one, "started_at": 100.0 + number, "seconds": 1.0}
        for number, one in enumerate(ran)
    ]
    return Restart(
        "id", "h", "a", 100.0, "alert", False, step, steps=steps, outcome=outcome, **more
    )


def states(made: Restart) -> dict[str, str]:
    return {one.step: one.state for one in step_states(made)}


def test_before_it_begins_every_step_waits() -> None:
    assert set(states(restart(AWAITING_APPROVAL, [])).values()) == {StepState.WAITING}


@pytest.mark.parametrize("number", range(len(ALL)))
def test_the_step_it_is_at_runs_and_those_before_are_done(number: int) -> None:
    shown = list(states(restart(ALL[number], ALL[:number])).values())

    assert shown[:number] == [StepState.DONE] * number
    assert shown[number] == StepState.RUNNING
    assert set(shown[number + 1 :]) <= {StepState.WAITING}


def test_the_running_step_began_when_the_one_before_ended() -> None:
    (running,) = [
        one for one in step_states(restart(ALL[2], ALL[:2])) if one.state is StepState.RUNNING
    ]

    assert running.started_at == 102.0


def test_a_restarted_agent_has_every_step_done() -> None:
    made = restart(ALL[-1], ALL, Outcome.RESTARTED)

    assert states(made) == dict.fromkeys(ALL, StepState.DONE)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.TASKS_RUNNING, StepState.REFUSED),
        (Outcome.SSH_UNREACHABLE, StepState.REFUSED),
        (Outcome.COMMAND_FAILED, StepState.FAILED),
        (Outcome.NOT_READY, StepState.FAILED),
    ],
)
def test_the_last_step_shows_how_it_ended(outcome: Outcome, state: StepState) -> None:
    shown = list(states(restart(ALL[2], ALL[:3], outcome)).values())

    assert shown[:4] == [StepState.DONE, StepState.DONE, state, StepState.WAITING]


def test_a_step_that_an_older_release_did_not_have_is_left_out() -> None:
    ran = [step for step in ALL if step is not Step.DIAGNOSE]

    assert Step.DIAGNOSE not in states(restart(ran[-1], ran, Outcome.RESTARTED))
