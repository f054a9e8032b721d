"""The storm breaker: when it opens, what a person's resume does, and when it closes by itself."""

from __future__ import annotations

import pytest

from memleash_responder.core.policy import Fleet
from memleash_responder.core.storms import IGNORED, after_count, storm_reason

FLEET = Fleet(storm_fraction=0.2)


@pytest.mark.parametrize(
    ("over", "hosts", "storm"),
    [(0, 0, False), (1, 1, False), (1, 3, False), (2, 3, True), (2, 10, False), (3, 10, True)],
)
def test_more_than_the_fraction_is_a_storm_but_never_one_host_alone(
    over: int, hosts: int, storm: bool
) -> None:
    state = after_count("", over, hosts, FLEET)
    assert (storm_reason(state) is not None) is storm


def test_the_reason_counts_the_hosts() -> None:
    assert storm_reason(after_count("", 3, 10, FLEET)) == (
        "3 of 10 hosts are over their hard limit at once"
    )


def test_an_open_breaker_keeps_its_first_reason_until_it_calms() -> None:
    opened = after_count("", 3, 10, FLEET)
    assert after_count(opened, 4, 10, FLEET) == opened
    assert after_count(opened, 2, 10, FLEET) == ""


def test_a_person_who_resumed_is_not_overruled_until_the_fleet_calmed() -> None:
    assert after_count(IGNORED, 4, 10, FLEET) == IGNORED
    assert storm_reason(IGNORED) is None
    calm = after_count(IGNORED, 0, 10, FLEET)
    assert storm_reason(after_count(calm, 3, 10, FLEET)) is not None, "the next one is a new storm"
