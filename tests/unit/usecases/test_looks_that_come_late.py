"""Looks at a request that take long, or come twice, while it goes on; and what ends by itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from memleash_responder.core.policy import Mode
from memleash_responder.core.restarts import QUEUED, WAITING, Restart
from memleash_responder.core.steps import Step
from memleash_responder.usecases.abandoned_restarts import QUIET_SECONDS, AbandonedRestarts
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE
from tests.unit.usecases.world import AGENT, World, leak_and_fire


def begin_waiting(world: World) -> Restart:
    """Have node-1's request wait for its busy agent, and return it."""
    leak_and_fire(world, busy=True)
    (notification,) = world.services.tables.inbox.waiting(before=float("inf"))
    world.intake.handle(notification)
    (waits,) = world.history()
    assert waits.step == WAITING
    return waits


def test_a_look_at_an_attempt_that_is_over_changes_nothing_of_the_next(world: World) -> None:
    """Seen by a reviewer: it wrote the old number back, and the next began nothing."""
    stale = begin_waiting(world)
    world.node.busy, world.node.busy_once_drained = False, 1000.0
    world.requests.look_at_waiting(at_once=True)
    world.engine.run_pending()
    (again,) = world.history()
    assert (again.step, again.attempt) == (WAITING, 1)
    world.requests._consider(stale)  # a slow thread's, which read it before
    world.node.busy = False
    world.run()
    (done,) = world.history()
    assert (done.outcome, done.attempt) == ("restarted", 1)


def test_looks_that_wait_for_a_thread_do_not_pile_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_waiting(world)
    submitted: list[Any] = []
    monkeypatch.setattr(world.requests._looks, "submit", lambda *work: submitted.append(work))
    for _ in range(100):
        world.clock.advance(31)
        world.requests.look_at_waiting()
    assert len(submitted) == 1


def test_what_waited_for_too_long_while_no_process_ran_ends_at_the_first_look(world: World) -> None:
    """Seen in random sequences: killed at its last look, it waited for another half minute."""
    begin_waiting(world)
    world.clock.advance(world.settings.agents[AGENT].guards.wait_for_idle)
    world.start()
    world.requests.look_at_waiting()
    assert world.outcomes() == ["busy"]


@pytest.mark.parametrize("step", [WAITING, QUEUED])
def test_what_has_not_begun_may_be_denied(make_world: MakeWorld, step: str) -> None:
    world = make_world()
    request = begin_waiting(world)
    if step == QUEUED:
        world.services.tables.restarts.advance(request.id, QUEUED)
    assert world.requests.deny(request.id, "ann")
    world.node.busy = False
    world.run()
    (denied,) = world.history()
    assert (denied.outcome, denied.reason) == (
        "denied",
        "denied by ann for as long as this process lives",
    )
    assert (denied.waits_for, denied.waiting_since) == (None, None)
    assert not world.node.commands


def test_what_has_begun_is_not_denied(world: World) -> None:
    request = begin_waiting(world)
    world.services.tables.restarts.advance(request.id, Step.HOLD)
    assert not world.requests.deny(request.id, "ann")


def test_time_at_a_persons_desk_is_no_wait_for_idle(world: World) -> None:
    request = begin_waiting(world)
    world.clock.advance(60)
    agent = dataclasses.replace(world.settings.agents[AGENT], mode=Mode.APPROVE)
    world.settings.agents[AGENT] = agent
    world.requests.consider(request.id)
    world.clock.advance(100_000)
    assert world.requests.approve(request.id, "ann")
    (waits,) = world.history()
    assert (waits.step, waits.waited_seconds) == (WAITING, 60)


def abandoned_at(world: World, step: str) -> tuple[AbandonedRestarts, Restart]:
    """Return what ends abandoned restarts, which has seen one at ``step``."""
    world.node.resident_bytes = LARGE
    request = world.requests.ask_for_person("node-1", AGENT, "ann", forced=False)
    world.services.tables.restarts.advance(request.id, step)
    abandoned = AbandonedRestarts(world.services, set, lambda _: None)
    world.clock.advance(86_400)  # it waited for its window until now
    abandoned.end()
    assert world.outcomes() == ["open"], "it may be between two records"
    return abandoned, request


def test_only_what_stays_abandoned_at_a_step_is_ended(world: World) -> None:
    abandoned, request = abandoned_at(world, Step.ADMIT)
    world.services.tables.restarts.advance(request.id, Step.HOLD)
    world.clock.advance(QUIET_SECONDS)
    abandoned.end()
    assert world.outcomes() == ["open"], "it went on meanwhile"
    world.clock.advance(QUIET_SECONDS)
    abandoned.end()
    assert world.outcomes() == ["facts_unavailable"]


def test_what_goes_on_while_it_is_looked_at_is_not_ended(world: World) -> None:
    abandoned, request = abandoned_at(world, Step.HOLD)

    def goes_on(_attempt_id: str) -> None:
        world.services.tables.restarts.advance(request.id, Step.VERIFY)

    abandoned._cancel = goes_on
    world.clock.advance(QUIET_SECONDS)
    abandoned.end()
    assert world.outcomes() == ["open"]
