"""For how long a request may wait, and what is written of it."""

from __future__ import annotations

import dataclasses

import pytest

from memleash_responder.core.moments import Stamp
from memleash_responder.core.outcomes import WAITED_FOR, Outcome, Refusal
from memleash_responder.core.policy import Guards
from memleash_responder.core.restarts import WAITING, Restart
from memleash_responder.core.waiting import (
    RECORDED_WAITS,
    first_look_seconds,
    given_up,
    next_look_seconds,
    recorded_waits,
    wait_columns,
    wait_ended_columns,
    waited_seconds,
    waits_on,
)
from memleash_toolkit.values import Duration

BUSY = Refusal(Outcome.BUSY, "the agent is busy")
CLOSED = Refusal(Outcome.OUTSIDE_WINDOW, "the window opens on Monday")
GUARDS = Guards(wait_for_idle=Duration(100), idle_interval=Duration(30))
NEW = Restart("r-1", "node-1", "kvmagent", 1000.0)


def at(uptime_seconds: float, *, wall_offset: float = 1_800_000_000.0) -> Stamp:
    return Stamp(wall_offset + uptime_seconds, "boot-1", uptime_seconds)


def waiting(restart: Restart, refusal: Refusal, since: Stamp) -> Restart:
    return dataclasses.replace(restart, step=WAITING, **wait_columns(restart, refusal, since))


def on_its_way(restart: Restart, since: Stamp) -> Restart:
    return dataclasses.replace(restart, step="queued", **wait_ended_columns(restart, since))


@pytest.mark.parametrize("wall_offset", [0.0, 1_800_000_000.0, 4_000_000_000.0])
def test_a_wait_is_over_after_its_time_whatever_the_wall_clock_is_set_to(
    wall_offset: float,
) -> None:
    restart = waiting(NEW, BUSY, at(50))
    assert given_up(restart, BUSY, GUARDS, at(149.9, wall_offset=wall_offset)) is None
    refusal = given_up(restart, BUSY, GUARDS, at(150, wall_offset=wall_offset))
    assert refusal == Refusal(Outcome.BUSY, "the agent is busy; it was waited for 1m40s")


def test_all_waits_of_a_request_share_the_time_and_the_queue_takes_none_of_it() -> None:
    restart = on_its_way(waiting(NEW, BUSY, at(0)), at(60))
    restart = waiting(restart, BUSY, at(5000))
    assert given_up(restart, BUSY, GUARDS, at(5039)) is None
    assert given_up(restart, BUSY, GUARDS, at(5040)) is not None


def test_a_window_is_waited_for_as_long_as_it_takes_and_takes_none_of_the_time() -> None:
    restart = waiting(NEW, CLOSED, at(0))
    assert given_up(restart, CLOSED, GUARDS, at(500_000)) is None
    assert waited_seconds(restart, at(500_000)) == 0


def test_without_time_to_wait_the_first_look_is_the_last() -> None:
    at_once = dataclasses.replace(GUARDS, wait_for_idle=Duration(0))
    assert given_up(NEW, BUSY, at_once, at(0)) == BUSY


@pytest.mark.parametrize(("now", "seconds"), [(0, 30), (69, 30), (90, 10), (100, 30)])
def test_the_last_look_comes_when_the_time_is_over_and_not_later(now: float, seconds: int) -> None:
    assert next_look_seconds(waiting(NEW, BUSY, at(0)), GUARDS, at(now)) == seconds


@pytest.mark.parametrize(("now", "seconds"), [(0, 30), (90, 10), (100, 0), (5000, 0)])
def test_what_a_process_finds_waiting_for_too_long_already_is_looked_at_at_once(
    now: float, seconds: int
) -> None:
    assert first_look_seconds(waiting(NEW, BUSY, at(0)), GUARDS, at(now)) == seconds


def test_what_is_left_of_the_time_does_not_hurry_a_wait_without_a_bound() -> None:
    restart = on_its_way(waiting(NEW, BUSY, at(0)), at(99))
    assert next_look_seconds(waiting(restart, CLOSED, at(200)), GUARDS, at(201)) == 30
    assert first_look_seconds(waiting(restart, CLOSED, at(200)), GUARDS, at(201)) == 30


def test_it_waits_on_for_the_same_and_says_so_anew_when_the_reason_changes() -> None:
    restart = waiting(NEW, CLOSED, at(0))
    assert waits_on(restart, CLOSED)
    assert not waits_on(restart, dataclasses.replace(CLOSED, reason="the window opens tomorrow"))
    assert not waits_on(on_its_way(restart, at(1)), CLOSED)


def test_the_record_keeps_the_last_waits_with_the_steps_that_were_begun() -> None:
    restart = dataclasses.replace(NEW, steps=({"step": "admit"}, {"step": "hold"}))
    (wait,) = recorded_waits(restart, BUSY, at(7))
    assert wait == {
        "for": "busy",
        "reason": "the agent is busy",
        "since": at(7).at,
        "after": [{"step": "admit"}, {"step": "hold"}],
    }
    many = dataclasses.replace(NEW, facts={"waits": [{"since": n} for n in range(50)]})
    waits = recorded_waits(many, BUSY, at(8))
    assert len(waits) == RECORDED_WAITS
    assert (waits[0]["since"], waits[-1]["since"]) == (31, at(8).at)


def test_what_may_be_waited_for_is_nothing_that_a_person_has_to_see_to() -> None:
    assert {Outcome.BUSY, Outcome.OUTSIDE_WINDOW, Outcome.ALERTS_FIRING} == WAITED_FOR
