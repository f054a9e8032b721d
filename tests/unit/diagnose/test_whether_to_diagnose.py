"""The policy, as a table of situations."""

from __future__ import annotations

import dataclasses

import pytest

from memleash_responder.core.diagnoses import GIB, Diagnose, Discover, Situation, Verdict, refusal
from memleash_responder.core.facts import AgentFacts, Unknown
from memleash_responder.core.outcomes import Mode

SETTINGS = Diagnose(Discover(systemd_unit="agent.service"))
GROWING = AgentFacts(up=True, start_time=1000.0, resident_bytes=3 * GIB, busy=False)
GOOD = Situation(agent=GROWING, mode=Mode.ENFORCE, paused=False, diagnosed_lives=(), under_way=None)


def agent(**changes: object) -> AgentFacts:
    return dataclasses.replace(GROWING, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, None),
        ({"mode": Mode.APPROVE}, None),
        ({"agent": agent(resident_bytes=4 * GIB)}, None),
        ({"agent": agent(resident_bytes=4 * GIB + 1)}, Verdict.TOO_LARGE),
        ({"agent": agent(resident_bytes=None)}, Verdict.FACTS_UNAVAILABLE),
        ({"agent": agent(start_time=None)}, Verdict.FACTS_UNAVAILABLE),
        ({"agent": agent(up=False)}, Verdict.FACTS_UNAVAILABLE),
        ({"agent": agent(up=None)}, Verdict.FACTS_UNAVAILABLE),
        ({"agent": Unknown("no route to host")}, Verdict.FACTS_UNAVAILABLE),
        ({"diagnosed_lives": (1000.4,)}, Verdict.ALREADY_DIAGNOSED),
        ({"diagnosed_lives": (10.0, 998.0)}, None),
        ({"paused": True}, Verdict.PAUSED),
        ({"mode": Mode.OBSERVE}, Verdict.OBSERVE_MODE),
        ({"asked_by_person": True, "mode": Mode.OBSERVE}, None),
        ({"asked_by_person": True, "diagnosed_lives": (1000.4,)}, None),
        ({"asked_by_person": True, "paused": True}, Verdict.PAUSED),
        (
            {"asked_by_person": True, "agent": agent(resident_bytes=4 * GIB + 1)},
            Verdict.TOO_LARGE,
        ),
        ({"asked_by_person": True, "agent": Unknown("no route")}, Verdict.FACTS_UNAVAILABLE),
        ({"under_way": "a restart holds the host"}, Verdict.HOST_BUSY),
        ({"agent": agent(busy=True)}, None),
    ],
)
def test_the_first_check_that_fails_names_the_verdict(
    changes: dict[str, object], verdict: Verdict | None
) -> None:
    situation = dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type]

    found = refusal(situation, SETTINGS)

    assert (found.verdict if found else None) == verdict


def test_an_agent_that_is_not_configured_for_it_is_never_diagnosed() -> None:
    found = refusal(GOOD, None)

    assert found is not None
    assert found.verdict is Verdict.NOT_CONFIGURED


@pytest.mark.parametrize(
    "changes",
    [
        {"rounds": 101},
        {"max_cpu": 0.5},
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
