"""The policy's defaults are the published ones, and numbers that make no sense are refused."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from memleash_responder.core.outcomes import (
    DIAGNOSIS_OUTCOMES,
    FAILED,
    NEEDS_A_PERSON,
    RESTART_OUTCOMES,
    Outcome,
)
from memleash_responder.core.own_alerts import OWN_ALERTS
from memleash_responder.core.policy import GIB, Fleet, Guards, Mute

RULES = Path(__file__).parents[3] / "rules"


def test_the_defaults_are_the_published_ones() -> None:
    assert dataclasses.asdict(Guards()) == {
        "startup_grace": 300,
        "cooldown": 1800,
        "max_restarts": 3,
        "per": 6 * 3600,
        "wait_for_idle": 1800,
        "idle_interval": 30,
        "futile_ratio": 0.7,
        "shrinking_ratio": 0.5,
        "retry_after": 240,
    }
    assert dataclasses.asdict(Fleet()) == {
        "max_concurrent_restarts": 1,
        "max_restarts_per_hour": 20,
        "storm_fraction": 0.2,
        "storm_least": 3,
        "storm_window": 660,
        "windows": (),
        "block_while_firing": (),
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


def test_memleashs_own_alerts_are_those_of_its_rules() -> None:
    rules = [file.read_text(encoding="utf-8") for file in RULES.glob("*.rules.yml")]
    assert sorted(OWN_ALERTS) == sorted(re.findall(r"- alert: (\w+)", "".join(rules)))


def test_what_pages_people_is_a_refusal_or_a_failure_and_never_both() -> None:
    assert not NEEDS_A_PERSON & FAILED
    assert Outcome.RESTARTED not in NEEDS_A_PERSON | FAILED


def test_every_word_ends_a_restart_or_a_diagnosis() -> None:
    assert {*RESTART_OUTCOMES, *DIAGNOSIS_OUTCOMES} == set(Outcome)
    assert (len(RESTART_OUTCOMES), len(DIAGNOSIS_OUTCOMES)) == (29, 19)
