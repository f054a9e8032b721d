"""Which hosts a controller is asked about next, and how long it is believed."""

from __future__ import annotations

import pytest

from memleash_responder.core.controller_rounds import believed_seconds, in_turn


@pytest.mark.parametrize("after", ["", "a", "b", "bb", "c", "d"])
def test_a_round_asks_about_each_host_once_beginning_behind_the_last(after: str) -> None:
    hosts = in_turn({"c", "a", "b"}, after)
    assert sorted(hosts) == ["a", "b", "c"]
    behind = [host for host in "abc" if host > after]
    assert hosts[: len(behind)] == behind


@pytest.mark.parametrize("count", [1, 3, 97, 194, 1000])
def test_rounds_that_are_given_up_early_come_to_every_host(count: int) -> None:
    hosts, last, asked = [f"node-{n:04}" for n in range(count)], "", set[str]()
    for _ in range(count // 3 + 1):
        some = in_turn(hosts, last)[:3]
        asked |= set(some)
        last = some[-1]
    assert asked == set(hosts)


@pytest.mark.parametrize(
    ("lap_seconds", "seconds"), [(0, 300), (150, 300), (151, 302), (1800, 3600), (1e9, 3600)]
)
def test_a_word_is_believed_for_two_laps_within_bounds(lap_seconds: float, seconds: float) -> None:
    assert believed_seconds(lap_seconds) == seconds
