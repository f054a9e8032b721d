"""What people read: the bar, ages, guards that pass."""

from __future__ import annotations

import pytest

from memleash_responder.core.facts import Unknown
from memleash_responder.core.guards import GUARDS
from memleash_responder.usecases.readings import Reading
from memleash_responder.web.pages import filters as wording

GIB = 1024**3


@pytest.mark.parametrize(
    ("limited", "threshold", "limit", "tone"),
    [
        (1, 2, 10, "good"),
        (2, 2, 10, "good"),
        (3, 2, 10, "warn"),
        (10, 2, 10, "warn"),
        (11, 2, 10, "bad"),
        (99, 0, 0, "good"),
        (99, None, None, "good"),
        (11, 20, 10, "bad"),
    ],
)
def test_the_bars_tone_follows_the_limits_strictly_greater(
    limited: int, threshold: int | None, limit: int | None, tone: str
) -> None:
    reading = Reading(
        limited_bytes=limited * GIB,
        alarm_threshold_bytes=threshold and threshold * GIB,
        hard_limit_bytes=limit and limit * GIB,
    )
    bar = wording.bar(reading)

    assert bar is not None
    assert bar.tone == tone
    assert 0 <= bar.filled <= 100
    assert (bar.threshold is None, bar.limit is None) == (not threshold, not limit)


def test_what_is_unknown_has_no_bar() -> None:
    assert wording.bar(Unknown("why")) is None
    assert wording.bar(Reading()) is None


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(-3, "0s"), (0.4, "0s"), (59.9, "59s"), (200, "3m20s"), (7322, "2h2m"), (180000, "2d2h")],
)
def test_an_age_is_told_in_its_two_largest_units(seconds: float, says: str) -> None:
    assert wording.ago(seconds) == says


@pytest.mark.parametrize("guard", [guard.name for guard in GUARDS])
def test_every_guard_that_passes_says_so_in_words_of_its_own(guard: str) -> None:
    assert wording.passes(guard) != guard.replace("_", " ") or guard == "busy"
