"""A person asks for a restart that is asked for already: it goes on as that person wants it."""

from __future__ import annotations

from typing import Any

import pytest

from memleash_responder.core.policy import Mode
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE, Node
from tests.unit.usecases.world import AGENT, World


def ask(world: World, *, forced: bool) -> None:
    joined = world.requests.ask_for_person("node-1", AGENT, "ann", forced=forced)
    world.requests.consider(joined.id)


def leak(world: World, *, busy: bool = False) -> None:
    world.node.resident_bytes, world.node.busy = LARGE, busy
    world.alert()


@pytest.mark.parametrize(
    ("forced", "word", "seconds"), [(True, "restarted", 11), (False, "busy", 1800)]
)
def test_force_ends_the_wait_for_idle_within_a_second(
    world: World, forced: bool, word: str, seconds: float
) -> None:
    leak(world, busy=True)
    began = world.clock.uptime_seconds
    world.later(10, lambda: ask(world, forced=forced))
    world.run()
    (request,) = world.history()
    assert (request.outcome, request.forced, request.approval_by) == (word, forced, "ann")
    spent = (world.node.commands or [world.clock.uptime_seconds])[0] - began
    assert seconds - 1 <= spent <= seconds


def test_who_asks_for_what_awaits_approval_has_approved_it(make_world: MakeWorld) -> None:
    world = make_world(agent={"mode": Mode.APPROVE})
    leak(world)
    world.run()
    ask(world, forced=False)
    world.run()
    (request,) = world.history()
    assert (request.outcome, request.approval, request.approval_by) == (
        "restarted",
        "approved",
        "ann",
    )


def test_who_joins_while_the_alert_is_looked_at_is_not_asked_again(make_world: MakeWorld) -> None:
    world = make_world(agent={"mode": Mode.APPROVE})
    leak(world)
    exporter: Any = world.services.outside.exporter
    facts = exporter.facts

    def interrupted(*args: Any, **how: Any) -> Any:
        exporter.facts = facts
        world.requests.ask_for_person("node-1", AGENT, "ann", forced=False)
        return facts(*args, **how)

    exporter.facts = interrupted
    (notification,) = world.services.tables.inbox.waiting(before=float("inf"))
    world.intake.handle(notification)
    world.engine.run_pending()  # and no sweep
    assert world.outcomes() == ["restarted"]


def test_who_joins_after_the_command_changes_nothing_of_what_is_told(make_world: MakeWorld) -> None:
    world = make_world(agent={"mode": Mode.APPROVE})
    leak(world)
    world.run()
    (request,) = world.history()
    assert world.requests.approve(request.id, "bob")
    check = world.check_before_command
    joined: list[str] = []

    def joins(node: Node) -> None:
        check(node)
        joined.append(world.requests.ask_for_person("node-1", AGENT, "ann", forced=True).id)

    world.check_before_command = joins  # type: ignore[method-assign]
    world.run()
    (request,) = world.history()
    assert joined == [request.id]
    assert (request.outcome, request.forced, request.approval_by) == ("restarted", False, "bob")


def test_what_has_been_denied_stays_denied(make_world: MakeWorld) -> None:
    world = make_world(agent={"mode": Mode.APPROVE})
    leak(world)
    world.run()
    requests = world.services.tables.restarts
    (request,) = world.history()
    assert requests.decide(request.id, "denied", "bob")  # and its word is about to be written
    ask(world, forced=True)
    world.run()
    assert world.outcomes() == ["denied"]
    assert not world.node.commands
