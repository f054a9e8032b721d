"""The policy, as a table of situations."""

from __future__ import annotations

import dataclasses

import pytest

from responder.core.facts import AgentFacts, Unknown
from responder.core.outcomes import Mode
from responder.diagnose.policy import (
    GIB,
    MIB,
    Diagnose,
    Discover,
    Situation,
    Verdict,
    refusal,
    rounds_for,
)
from toolkit.values import Duration

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


@pytest.mark.parametrize(
    ("resident", "growth", "hard_limit", "told"),
    [
        (2 * GIB, 0.1 * MIB, 10 * GIB, "5 rounds x 5m: 102 KiB/s, 4 GiB in 5h41m"),
        (2 * GIB, 1 * MIB, 10 * GIB, "5 rounds x 5m: 1 MiB/s, 4 GiB in 34m"),
        (2656 * MIB, 12 * MIB, 10 * GIB, "5 rounds x 20s: 12 MiB/s, 4 GiB in 2m"),
        (3 * GIB, 50 * MIB, 10 * GIB, "3 rounds x 5s: 50 MiB/s, 4 GiB in 20s"),
        (4 * GIB, 50 * MIB, 10 * GIB, "3 rounds x 5s: 50 MiB/s, 4 GiB in 0s"),
        (500 * MIB, 1 * MIB, GIB, "5 rounds x 1m27s: 1 MiB/s, 1 GiB in 9m"),
        (500 * MIB, 1 * MIB, 0, "5 rounds x 5m: 1 MiB/s, 4 GiB in 1h"),
        (3900 * MIB, 0.0, 10 * GIB, "5 rounds x 5m: no growth"),
        (3900 * MIB, -1.0, 10 * GIB, "5 rounds x 5m: no growth"),
        (3900 * MIB, Unknown("refused"), 10 * GIB, "5 rounds x 5m: growth unknown"),
        (2 * GIB, 20 * MIB, Unknown("refused"), "5 rounds x 17s: 20 MiB/s, 4 GiB in 1m42s"),
    ],
)
def test_rounds_are_shortened_when_there_is_less_time(
    resident: int, growth: float | Unknown, hard_limit: int | Unknown, told: str
) -> None:
    assert str(rounds_for(SETTINGS, resident, growth, hard_limit)) == told


def test_fewer_and_shorter_rounds_than_the_least_are_kept_where_configured() -> None:
    short = dataclasses.replace(SETTINGS, rounds=2, interval=Duration(2.0))

    assert str(rounds_for(short, 4 * GIB, 50 * MIB, 0)).startswith("2 rounds x 2s: ")
