"""What the engine records of a restart's steps is read again, also by another release."""

from __future__ import annotations

import json
from typing import Any

import pytest

from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.progress import Progress, RestartStepResult

VERIFIED: dict[str, Any] = {
    "refusal": None,
    "begun": False,
    "progress": {
        "life": 1_799_900_000.0,
        "resident_bytes": 11 * 1024**3,
        "hard_limit_bytes": 10 * 1024**3,
        "held": {"at": 1_800_000_100.5, "boot_id": "boot-1", "uptime_seconds": 900.25},
        "new_life": 0.0,
        "new_resident_bytes": 0,
        "seen": {},
    },
}
"""As an older release recorded the end of verify: ``held`` is nothing to this one."""
REFUSED: dict[str, Any] = {
    "refusal": {"outcome": "busy", "reason": "the agent was still busy after 30m"},
    "begun": False,
    "progress": None,
}
FORMER_NAMES = VERIFIED["progress"].keys()


def test_what_an_older_release_recorded_goes_on() -> None:
    assert RestartStepResult.of(VERIFIED) == RestartStepResult(
        refusal=None,
        begun=False,
        progress=Progress(
            life=1_799_900_000.0,
            resident_bytes=11 * 1024**3,
            hard_limit_bytes=10 * 1024**3,
        ),
    )
    assert RestartStepResult.of(REFUSED).refusal == Refusal(
        Outcome.BUSY, "the agent was still busy after 30m"
    )


@pytest.mark.parametrize(
    "result",
    [
        RestartStepResult(None, begun=False, progress=Progress()),
        RestartStepResult(None, begun=True, progress=Progress(life=1.5, new_life=2.5)),
        RestartStepResult(None, begun=True, progress=Progress(life=1.5, restarted_again=True)),
        RestartStepResult(Refusal(Outcome.NOT_READY, "no"), begun=True, progress=Progress()),
    ],
)
def test_what_is_recorded_as_json_is_read_as_it_was(result: RestartStepResult) -> None:
    assert RestartStepResult.of(json.loads(json.dumps(result.recorded()))) == result


def test_an_older_replica_can_read_all_but_the_very_end() -> None:
    """It knows these names alone, and takes those that are left out for nothing found."""
    progress = Progress(life=1.5, resident_bytes=2, hard_limit_bytes=1, new_life=2.5)
    recorded = RestartStepResult(None, begun=True, progress=progress).recorded()
    assert recorded.keys() == VERIFIED.keys()
    assert recorded["progress"].keys() <= FORMER_NAMES
