"""The policy's defaults are the published ones, and numbers that make no sense are refused."""

from __future__ import annotations

import dataclasses

import pytest

from responder.core.outcomes import FAILED, NEEDS_A_PERSON, Outcome
from responder.core.policy import GIB, Fleet, Guards, Mute
from toolkit.settings import Duration


def test_the_defaults_are_the_published_ones() -> None:
    assert dataclasses.asdict(Guards()) == {
        "startup_grace": 300,
        "cooldown": 1800,
        "max_restarts": 3,
        "per": 6 * 3600,
        "wait_for_idle": 1800,
        "idle_interval": 30,
        "futile_ratio": 0.7,
        "retry_after": 240,
    }
    assert dataclasses.asdict(Fleet()) == {
        "max_concurrent_restarts": 1,
        "max_restarts_per_hour": 20,
        "storm_fraction": 0.2,
        "storm_window": 660,
    }
    assert dataclasses.asdict(Mute()) == {
        "base": 300,
        "step_bytes": 4 * GIB,
        "longest": 3600,
        "max_hold": 4 * 3600,
        "tail": 60,
        "interval": 15,
        "matchers": ('alertname="HostPingFailed"',),
    }


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (lambda: Guards(max_restarts=0), "max_restarts 0 must be at least 1"),
        (lambda: Guards(futile_ratio=0), "futile_ratio 0 must be above 0"),
        (lambda: Guards(futile_ratio=1.1), "futile_ratio 1.1 must be above 0 and at most 1"),
        (lambda: Guards(idle_interval=Duration(0)), "idle_interval must be more than 0s"),
        (lambda: Fleet(max_concurrent_restarts=0), "max_concurrent_restarts 0"),
        (lambda: Fleet(max_restarts_per_hour=0), "max_restarts_per_hour 0"),
        (lambda: Fleet(storm_fraction=0), "storm_fraction 0"),
        (lambda: Fleet(storm_fraction=2), "storm_fraction 2"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        wrong()  # type: ignore[operator]


def test_what_pages_people_is_a_refusal_or_a_failure_and_never_both() -> None:
    assert not NEEDS_A_PERSON & FAILED
    assert Outcome.RESTARTED not in NEEDS_A_PERSON | FAILED
    assert len(Outcome) == 26
