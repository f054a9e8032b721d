"""The policy, as a table of situations."""

from __future__ import annotations

import dataclasses

import pytest

from memleash_responder.core.diagnoses import (
    DiagnosisSituation,
    DiagnosisStepResult,
    may_be_diagnosed,
)
from memleash_responder.core.diagnosis_settings import GIB, Diagnose, Discover
from memleash_responder.core.facts import AgentFacts, Unknown
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.pauses import Pause
from memleash_responder.core.policy import Mode

PAUSE = Pause("default", "ann", "", 1.0, None)
NO_SAMPLE = Unknown("no sample")
SETTINGS = Diagnose(Discover(systemd_unit="agent.service"))
GROWING = AgentFacts(
    up=True, start_time=1000.0, resident_bytes=3 * GIB, limited_bytes=3 * GIB, busy=False
)
GOOD = DiagnosisSituation(
    agent=GROWING,
    mode=Mode.ENFORCE,
    pauses=(),
    diagnosed_lives=(),
    maintenance=None,
    under_way=None,
)


def agent(**changes: object) -> AgentFacts:
    return dataclasses.replace(GROWING, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, None),
        ({"mode": Mode.APPROVE}, None),
        ({"agent": agent(resident_bytes=4 * GIB)}, None),
        ({"agent": agent(resident_bytes=4 * GIB + 1)}, Outcome.TOO_LARGE),
        ({"agent": agent(resident_bytes=NO_SAMPLE)}, Outcome.FACTS_UNAVAILABLE),
        ({"agent": agent(limited_bytes=NO_SAMPLE)}, Outcome.FACTS_UNAVAILABLE),
        ({"agent": agent(limited_bytes=9 * GIB)}, None),
        ({"agent": agent(start_time=NO_SAMPLE)}, Outcome.FACTS_UNAVAILABLE),
        ({"agent": agent(up=False)}, Outcome.FACTS_UNAVAILABLE),
        ({"agent": agent(up=NO_SAMPLE)}, Outcome.FACTS_UNAVAILABLE),
        ({"agent": Unknown("no route to host")}, Outcome.FACTS_UNAVAILABLE),
        ({"diagnosed_lives": (1000.4,)}, Outcome.ALREADY_DIAGNOSED),
        ({"diagnosed_lives": (10.0, 998.0)}, None),
        ({"pauses": (PAUSE,)}, Outcome.PAUSED),
        ({"mode": Mode.OBSERVE}, Outcome.OBSERVE_MODE),
        ({"asked_by_person": True, "mode": Mode.OBSERVE}, None),
        ({"asked_by_person": True, "diagnosed_lives": (1000.4,)}, None),
        ({"asked_by_person": True, "pauses": (PAUSE,)}, Outcome.PAUSED),
        (
            {"asked_by_person": True, "agent": agent(resident_bytes=4 * GIB + 1)},
            Outcome.TOO_LARGE,
        ),
        ({"asked_by_person": True, "agent": Unknown("no route")}, Outcome.FACTS_UNAVAILABLE),
        ({"under_way": "a restart holds the host"}, Outcome.HOST_BUSY),
        ({"maintenance": "ann: new disks"}, Outcome.MAINTENANCE),
        ({"asked_by_person": True, "maintenance": "ann: new disks"}, Outcome.MAINTENANCE),
        ({"agent": agent(busy=True)}, None),
    ],
)
def test_the_first_check_that_fails_names_the_outcome(
    changes: dict[str, object], outcome: Outcome | None
) -> None:
    situation = dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type]

    found = may_be_diagnosed(situation, SETTINGS)

    assert (found.outcome if isinstance(found, Refusal) else None) == outcome


def test_an_agent_that_is_not_configured_for_it_is_never_diagnosed() -> None:
    found = may_be_diagnosed(GOOD, None)
    assert isinstance(found, Refusal)

    assert found is not None
    assert found.outcome is Outcome.NOT_CONFIGURED


@pytest.mark.parametrize(
    "changes",
    [
        {"rounds": 101},
        {"work_folder": "relative"},
        {"work_folder": "/var/../etc"},
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        dataclasses.replace(SETTINGS, **changes)  # type: ignore[arg-type]


def test_a_process_is_found_in_exactly_one_way() -> None:
    with pytest.raises(ValueError, match="give one of"):
        Discover(systemd_unit="agent.service", pidfile="/run/agent.pid")


@pytest.mark.parametrize(
    ("recorded", "result"),
    [
        (["", "", ""], DiagnosisStepResult()),
        (["incomplete", "cut", ""], DiagnosisStepResult(Outcome.INCOMPLETE, "cut")),
        (
            ["diagnosed", "", "20261122T160551Z"],
            DiagnosisStepResult(Outcome.DIAGNOSED, report="20261122T160551Z"),
        ),
    ],
)
def test_what_an_older_release_recorded_of_a_step_goes_on(
    recorded: list[str], result: DiagnosisStepResult
) -> None:
    assert DiagnosisStepResult.of(recorded) == result
    assert result.recorded() == recorded
