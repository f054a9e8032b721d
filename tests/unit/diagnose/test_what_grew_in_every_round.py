"""The growth filter, as a table of looks."""

from __future__ import annotations

import pytest

from memleash_diagnoser.growth import grown, grown_containers

Looks = list[dict[str, list[int]]]


def looks(*sizes: int, name: str = "app.Session", count: int = 7) -> Looks:
    return [{name: [count, size]} if size else {} for size in sizes]


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ((100, 200, 300, 400), True),
        ((0, 200, 300, 400), True),
        ((100, 200, 200, 400), False),
        ((100, 200, 150, 400), False),
        ((400, 300, 200, 100), False),
        ((100, 200, 300, 0), False),
        ((100, 101, 102, 103), False),
        ((100,), False),
        ((), False),
    ],
    ids=[
        "grew in every round",
        "was not there at first",
        "stood still once",
        "shrank once",
        "shrank",
        "is gone at the end",
        "grew by less than the least",
        "was looked at once",
        "was never looked at",
    ],
)
def test_only_what_grew_in_every_round_by_enough_is_kept(
    sizes: tuple[int, ...], kept: bool
) -> None:
    assert bool(grown(looks(*sizes), least_bytes=100)) is kept


def test_the_largest_growth_comes_first_with_every_figure() -> None:
    found = grown(
        [
            {"small": [1, 10], "large": [1, 1000], "steady": [5, 5000]},
            {"small": [2, 30], "large": [2, 4000], "steady": [5, 5000]},
            {"small": [3, 60], "large": [3, 9000], "steady": [5, 5000]},
        ],
        least_bytes=1,
    )

    assert [(one.name, one.counts, one.sizes_bytes, one.growth_bytes) for one in found] == [
        ("large", [1, 2, 3], [1000, 4000, 9000], 8000),
        ("small", [1, 2, 3], [10, 30, 60], 50),
    ]


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [
        ([600, 700, 800, 900], [600, 700, 800, 900]),
        ([600, 700, 800], [600, 700, 800]),
        ([None, 600, 700, 800], None),
        ([None, 600, 700, 800, 900], [600, 700, 800, 900]),
        ([None, None, None, None, 535, 827, 1226], None),
        ([None, None, None, 600, 700, 800, 900], None),
        ([None, None, 600, 700, 800, 900, 950], [600, 700, 800, 900, 950]),
        ([None, None, 600, 700], None),
        ([600, 700, None, 800], None),
        ([600, 700, 700, 800], None),
        ([600, 700, 800, None], None),
        ([600, 610, 620, 630], None),
    ],
)
def test_a_container_counts_from_when_it_became_large(
    lengths: list[int | None], kept: list[int] | None
) -> None:
    seen = [{"7f00": ["list", length]} if length else {} for length in lengths]

    assert [one.lengths for one in grown_containers(seen, least=50)] == ([kept] if kept else [])


def test_an_address_that_another_type_of_container_took_over_is_not_the_same_container() -> None:
    seen = [{"7f00": ["dict", 600]}, {"7f00": ["list", 700]}, {"7f00": ["list", 800]}]

    assert grown_containers(seen, least=50) == []
