"""The storm breaker: when it opens, what a person's resume does, and when it closes by itself."""

from __future__ import annotations

import pytest

from memleash_responder.core.policy import Fleet
from memleash_responder.core.storms import IGNORED, StormCount, after_count, storm_reason

FLEET = Fleet(storm_fraction=0.2)


def after(state: str, over: int, hosts: int = 20, fleet: Fleet = FLEET) -> str:
    return after_count(state, StormCount.of(over, hosts, fleet))


@pytest.mark.parametrize(
    ("over", "hosts", "storm"),
    [
        *((0, 0, False), (1, 1, False), (2, 2, False), (2, 3, False), (3, 3, True)),
        *((2, 10, False), (3, 10, True), (4, 20, False), (5, 20, True), (3, 5, True)),
    ],
)
def test_a_storm_is_more_than_the_fraction_and_at_least_three_hosts(
    over: int, hosts: int, storm: bool
) -> None:
    state = after("", over, hosts)
    assert (storm_reason(state) is not None) is storm
    count = StormCount.of(over, hosts, FLEET)
    assert (count.over >= count.storm_from) is storm


def test_one_host_alone_is_never_a_storm() -> None:
    assert after("", 1, 1, Fleet(storm_fraction=0.2, storm_least=1)) == ""
    assert after("", 2, 2, Fleet(storm_fraction=0.2, storm_least=1)) != ""


def test_the_reason_counts_the_hosts() -> None:
    assert storm_reason(after("", 5)) == "5 of 20 hosts are over their hard limit at once"


def test_an_open_breaker_keeps_its_first_reason_until_it_calms() -> None:
    opened = after("", 5)
    assert after(opened, 6) == opened
    assert after(opened, 4) == ""


def test_a_person_who_resumed_is_not_overruled_until_the_fleet_calmed() -> None:
    assert after(IGNORED, 6) == IGNORED
    assert storm_reason(IGNORED) is None
    calm = after(IGNORED, 0)
    assert storm_reason(after(calm, 5)) is not None, "the next one is a new storm"
