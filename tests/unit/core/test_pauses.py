"""Pauses: which hold, and how a refusal names them."""

from __future__ import annotations

from memleash_responder.core.pauses import Pause, holding, why_paused

NOW = 1_800_000_000.0
RACK = Pause("rack-7", "ann", "the rack moves", NOW - 60, NOW + 60)
PLAIN = Pause("default", "bob", "", NOW - 90, None)


def test_a_pause_holds_until_its_end_and_not_at_it() -> None:
    assert RACK.holds(NOW + 59.9)
    assert not RACK.holds(NOW + 60)
    assert PLAIN.holds(NOW + 1e9)


def test_those_that_hold_are_told_the_oldest_first() -> None:
    assert holding([RACK, PLAIN], NOW) == (PLAIN, RACK)
    assert holding([RACK, PLAIN], NOW + 60) == (PLAIN,)


def test_a_refusal_names_each_pause_with_who_why_and_until() -> None:
    assert why_paused(()) is None
    assert why_paused((PLAIN, RACK)) == (
        "the responder is paused: default by bob,"
        " rack-7 by ann until 2027-01-15T08:01:00Z: the rack moves"
    )


def test_however_many_pauses_and_however_long_the_reason_stays_short() -> None:
    many = tuple(Pause(f"p{n}", "ann", "x" * 5000, NOW, None) for n in range(50))
    why = why_paused(many)
    assert why is not None
    assert why.endswith(" and 42 more")
    assert len(why) < 2000
