"""When restarts that help less and less are told of: on both sides of each edge."""

from __future__ import annotations

import pytest

from memleash_responder.core.time_bought import TimeBought, seconds_by_agent, shrinking

HOUR = 3600.0


@pytest.mark.parametrize(
    ("hours", "shrinks"),
    [
        ([], False),
        ([6], False),
        ([6, 2, 2], False),
        ([6, 2, 2, 2], True),
        ([6, 2.9, 1, 2.9], True),
        ([6, 3, 2, 2], False),  # half is not under half
        ([6, 2, 3, 2, 2], False),  # not in a row
        ([6, 2, 7, 2, 2, 2], True),  # the first stays the measure
        ([6, 5, 4, 3], False),
        ([0, 0, 0, 0], False),
        (
            [6, 2, 2, 2, 2],
            False,
        ),  # it was told, and a person cleared it: the next is the first anew
        ([6, 2, 2, 2, 2, 2, 2, 2], False),
        ([6, 2, 2, 2, 2, 0.9, 0.9, 0.9], True),
    ],
)
def test_three_in_a_row_under_half_of_the_first_are_told_of_once(
    hours: list[float], shrinks: bool
) -> None:
    assert (shrinking([hour * HOUR for hour in hours], 0.5) is not None) is shrinks


def test_the_reason_says_what_was_bought() -> None:
    assert shrinking([6 * HOUR, 2 * HOUR, 5400.4, 1800], 0.5) == (
        "restarts help less and less: one bought 6h, the last three 2h, 1h30m, 30m"
    )


def test_what_was_bought_is_told_by_host_and_agent_in_its_order() -> None:
    times = [
        TimeBought("a", "x", 1.0, 5.0),
        TimeBought("b", "x", 2.0, 6.0),
        TimeBought("a", "x", 3.0, 7.0),
    ]
    assert seconds_by_agent(times) == {("a", "x"): (5.0, 7.0), ("b", "x"): (6.0,)}
