"""Who is taken for dead: whose sign stood still while the watcher's own went through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from memleash_responder.core.heartbeats import RETIRED, Watch, silent, watched

DEAD_AFTER, GAP, BEAT = 20.0, 10.0, 3.0
DEAF = None
"""A beat that did not go through: the database was gone."""


def after(beats: Iterable[Mapping[str, float] | None]) -> list[str]:
    """Return who is dead for ``me`` after its beats, one every three seconds."""
    watch: Watch | None = None
    for number, signs in enumerate(beats):
        if signs is not None:
            watch = watched(watch, signs, number * BEAT, GAP)
    return silent(watch, "me", DEAD_AFTER) if watch else []


def living(number: int, **others: float) -> dict[str, float]:
    return {"me": 100.0 + number, **others}


def test_a_sign_that_stands_still_for_long_enough_is_a_dead_replicas() -> None:
    assert after(living(n, other=50.0) for n in range(7)) == []
    assert after(living(n, other=50.0) for n in range(8)) == ["other"]


def test_a_sign_that_changes_is_a_living_replicas_whatever_it_says() -> None:
    assert after(living(n, other=50.0 - n) for n in range(30)) == []


def test_who_retired_is_dead_at_once() -> None:
    assert after([living(0, other=RETIRED)]) == ["other"]


def test_nobody_is_dead_for_itself() -> None:
    assert after({"me": 1.0} for _ in range(30)) == []


def test_after_a_time_in_which_nobody_could_write_everybody_has_the_whole_time_again() -> None:
    before = [living(n, other=50.0 + n) for n in range(5)]
    outage = [DEAF] * 10
    again = [living(n, other=54.0) for n in range(20, 27)]
    assert after([*before, *outage, *again]) == []
    assert after([*before, *outage, *again, living(27, other=54.0)]) == ["other"]


def test_a_step_of_the_databases_clock_makes_nobody_look_dead() -> None:
    before = [living(n, other=50.0 + n) for n in range(5)]
    stepped = [{"me": 90_000.0, "other": 54.0}, {"me": 90_003.0, "other": 90_001.0}]
    assert after([*before, *stepped]) == []
