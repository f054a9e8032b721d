"""The keeper: what is due is done in its time, whatever the wall clock and whatever fails."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.stack.processes import wait_until
from memleash_responder.adapters.own_metrics import Part
from memleash_responder.usecases.keeper import Duty, Keeper
from memleash_responder.usecases.replicas import LEASE, Liveness
from tests.unit.usecases.world import World


def always() -> bool:
    return True


def keeper(world: World, work: Callable[[], None], every_seconds: float = 10.0) -> Keeper:
    """Return a keeper with one duty."""
    return Keeper(world.services, [Duty(Part.PRUNE, work, lambda: every_seconds)], always)


def done_at(world: World, one: Keeper, done: list[float], seconds: int) -> list[float]:
    """Let a keeper tick each second, and return after how many something was done."""
    began = world.clock.uptime_seconds
    for _ in range(seconds):
        one.tick()
        world.clock.advance(1)
    return [uptime - began for uptime in done]


def test_a_duty_is_due_at_once_and_then_in_its_time(world: World) -> None:
    done: list[float] = []
    one = keeper(world, lambda: done.append(world.clock.uptime_seconds))
    assert done_at(world, one, done, 31) == [0, 10, 20, 30]


@pytest.mark.parametrize("step_seconds", [-86_400, 86_400])
def test_a_step_of_the_wall_clock_changes_nothing(world: World, step_seconds: float) -> None:
    done: list[float] = []
    one = keeper(world, lambda: done.append(world.clock.uptime_seconds))
    one.tick()
    done.clear()
    world.clock.wall_offset += step_seconds
    assert done_at(world, one, done, 21) == [10, 20]


def test_what_fails_is_counted_and_tried_later_and_later(world: World) -> None:
    tried: list[float] = []

    def fail() -> None:
        tried.append(world.clock.uptime_seconds)
        raise ValueError("no")

    assert done_at(world, keeper(world, fail, 1.0), tried, 200) == [0, 2, 6, 14, 30, 62, 122, 182]
    assert world.services.telemetry.failures.labels(Part.PRUNE)._value.get() == 8


def test_a_duty_aside_holds_up_no_other_and_is_never_run_twice_at_once(world: World) -> None:
    goes_on, ran, done = threading.Event(), threading.Event(), [0, 0]

    def slow() -> None:
        done[0] += 1
        ran.set()
        goes_on.wait(60)

    def quick() -> None:
        done[1] += 1

    with ThreadPoolExecutor(1) as aside:
        slow_duty = Duty(Part.SWEEP, slow, lambda: 1.0, aside=aside)
        one = Keeper(world.services, [slow_duty, Duty(Part.PRUNE, quick, lambda: 1.0)], always)
        one.tick()
        assert ran.wait(60)
        for _ in range(5):
            world.clock.advance(1)
            one.tick()
        assert done == [1, 6]
        goes_on.set()
        wait_until("the duty to end", lambda: not slow_duty.under_way)
        world.clock.advance(1)
        one.tick()
    assert done == [2, 7]


def test_a_duty_that_nobody_can_run_is_counted_and_tried_later(world: World) -> None:
    aside = ThreadPoolExecutor(1)
    aside.shutdown()
    done: list[float] = []
    duties = [
        Duty(Part.SWEEP, lambda: None, lambda: 1.0, aside=aside),
        Duty(Part.PRUNE, lambda: done.append(world.clock.uptime_seconds), lambda: 1.0),
    ]
    assert done_at(world, Keeper(world.services, duties, always), done, 7) == [0, 1, 2, 3, 4, 5, 6]
    assert world.services.telemetry.failures.labels(Part.SWEEP)._value.get() == 3  # at 0, 2 and 6


def test_who_does_not_hold_the_lease_does_nothing(world: World) -> None:
    done: list[float] = []
    leads = Liveness(world.services, "1", len).leads
    one = Keeper(world.services, [Duty(Part.PRUNE, lambda: done.append(0.0), lambda: 1.0)], leads)
    patience_seconds = world.services.settings.replicas.dead_after
    assert world.services.tables.replicas.lease(LEASE, "another", patience_seconds)
    one.tick()
    assert done == []


def test_mutes_that_change_are_seen_to_at_once_and_nothing_else_is(world: World) -> None:
    ran: Counter[str] = Counter()
    twice = threading.Event()

    def synchronize() -> None:
        ran["mutes"] += 1
        if ran["mutes"] == 2:
            twice.set()

    duties = [
        Duty(Part.SYNCHRONIZE_MUTES, synchronize, lambda: 1000.0, when_mutes_change=True),
        Duty(Part.PRUNE, lambda: ran.update(["prunes"]), lambda: 1000.0),
    ]
    thread = threading.Thread(target=Keeper(world.services, duties, always).run)
    thread.start()
    world.services.mutes_changed.set()
    assert twice.wait(60)
    world.services.stopping.set()
    thread.join(60)
    assert ran == {"mutes": 2, "prunes": 1}


def test_mutes_that_change_while_they_are_seen_to_are_seen_to_once_more(world: World) -> None:
    """What changes in the middle of a round was perhaps not looked at by it."""
    began, goes_on, ran = threading.Event(), threading.Event(), list[int]()

    def synchronize() -> None:
        ran.append(len(ran))
        began.set()
        assert goes_on.wait(60)

    with ThreadPoolExecutor(1) as aside:
        duty = Duty(
            Part.SYNCHRONIZE_MUTES,
            synchronize,
            lambda: 1000.0,
            when_mutes_change=True,
            aside=aside,
        )
        thread = threading.Thread(target=Keeper(world.services, [duty], always).run)
        thread.start()
        assert began.wait(60)
        world.services.mutes_changed.set()
        wait_until("the keeper to hear of it", lambda: duty.is_called_for)
        goes_on.set()
        wait_until("a second round", lambda: len(ran) == 2 and not duty.under_way)
        world.services.stopping.set()
        thread.join(60)
    assert ran == [0, 1]


def test_the_lease_is_asked_for_as_often_as_a_heartbeat_is_shown(world: World) -> None:
    liveness = Liveness(world.services, "1", len)
    leases = world.services.tables.replicas
    assert liveness.leads()
    world.clock.advance(world.services.settings.replicas.heartbeat - 0.1)
    assert leases.lease(LEASE, world.services.executor_id, -1.0)  # it is over
    assert leases.lease(LEASE, "another", 30.0)
    assert liveness.leads(), "it was not asked again"
    world.clock.advance(0.2)
    assert not liveness.leads()
