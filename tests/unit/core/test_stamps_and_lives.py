"""Ages that outlive steps of the wall clock, and start times that name one life."""

from __future__ import annotations

import pytest

from memleash_responder.core.facts import same_life
from memleash_responder.core.moments import Stamp

THEN = Stamp(at=1000.0, boot_id="boot-1", uptime_seconds=50.0)


@pytest.mark.parametrize(
    ("now", "age_seconds"),
    [
        (Stamp(1010.0, "boot-1", 60.0), 10.0),
        (Stamp(90_000.0, "boot-1", 60.0), 10.0),
        (Stamp(0.0, "boot-1", 60.0), 10.0),
        (Stamp(1010.0, "boot-2", 5.0), 10.0),
        (Stamp(900.0, "boot-2", 5.0), 0.0),
        (Stamp(1010.0, "boot-1", 40.0), 0.0),
    ],
    ids=[
        "plain",
        "clock forward",
        "clock back",
        "rebooted",
        "rebooted into the past",
        "impossible",
    ],
)
def test_an_age_is_told_by_the_uptime_and_after_a_reboot_by_the_wall_clock(
    now: Stamp, age_seconds: float
) -> None:
    assert THEN.age_seconds(now) == age_seconds


def test_start_times_that_differ_by_less_than_a_second_are_one_life() -> None:
    assert same_life(1000.0, 1000.99)
    assert not same_life(1000.0, 1001.0)
    assert not same_life(1001.0, 1000.0)
