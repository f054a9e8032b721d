"""Killed at any boundary (each write, each effect, each record), it goes on and restarts once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from memleash_responder.core.policy import Guards
from memleash_toolkit.values import Duration
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE
from tests.unit.usecases.world import AGENT, Killed, World

pytestmark = pytest.mark.one_python

BUSY_SECONDS = 3.0
Story = tuple[Callable[[World], None], ...]


def played(
    make_world: MakeWorld, story: Story, *, since: str | None = None, **node: object
) -> Iterator[tuple[World, str]]:
    """Yield the world after a story, killed at one boundary after the other, and where.

    ``since`` names the first of them; until then the story is that of another test.
    """
    boundaries = play(make_world(), story, None, **node).boundaries
    first = 0 if since is None else boundaries.index(since)
    for number, name in enumerate(boundaries[first:], first):
        yield play(make_world(), story, number, **node), f"boundary {number}: {name}"


def play(world: World, story: Story, kill_at: int | None, **node: object) -> World:
    """Have each part of a story happen, and the responder do all that it has to after it."""
    world.node.resident_bytes = LARGE
    for name, value in node.items():
        setattr(world.node, name, value)
    for part in story:
        if kill_at is not None and len(world.boundaries) <= kill_at:
            world.kill_at = kill_at
        part(world)
        world.run()
    return world


def told(world: World) -> None:
    world.alert()


def forced(world: World) -> None:
    """Asked again until it is stored: who is not answered asks once more."""
    while not world.history():
        try:
            world.requests.ask_for_person("node-1", AGENT, "ann", forced=True)
        except Killed:
            world.start()


def second_controller_comes_back(world: World) -> None:
    assert world.node.drained
    assert world.services.tables.hosts.get("node-1").drained, "the undrain is owed"
    world.node.second_controller_dead = False
    world.clock.advance(1000)


def check_restarted_once(world: World, killed_at: str) -> None:
    assert len(world.node.starts) == len(world.node.commands) == 1, killed_at
    assert world.outcomes() == ["restarted"], killed_at
    assert (world.state(), world.node.drained) == ("connected", False), killed_at
    world.clock.advance(120)
    assert not world.muted(), killed_at


def test_killed_at_any_boundary_the_agent_is_restarted_exactly_once(
    make_world: MakeWorld,
) -> None:
    boundaries = play(make_world(), (told,), None).boundaries
    assert {"before the command", "after the command", "before the record of restart"} <= {
        *boundaries
    }
    for world, killed_at in played(make_world, (told,)):
        check_restarted_once(world, killed_at)


def test_killed_at_any_boundary_a_refusal_gives_everything_back(make_world: MakeWorld) -> None:
    for world, killed_at in played(make_world, (told,), running=["task-7"]):
        assert not world.node.commands, killed_at
        assert world.outcomes() == ["tasks_running"], killed_at
        assert (world.state(), world.node.drained) == ("connected", False), killed_at
        assert not world.muted(), killed_at


def test_killed_at_any_boundary_a_failure_is_told_and_never_tried_twice(
    make_world: MakeWorld,
) -> None:
    for world, killed_at in played(make_world, (told,), becomes_ready=False):
        assert len(world.node.starts) == 1, killed_at
        assert world.outcomes() == ["not_ready"], killed_at
        assert world.state() == "disconnected", killed_at
        assert not world.reconnects, killed_at
        assert not world.muted(), killed_at


def test_killed_at_any_boundary_what_force_went_past_is_told_and_the_owed_undrain_given(
    make_world: MakeWorld,
) -> None:
    story = (forced, second_controller_comes_back)
    for world, killed_at in played(make_world, story, second_controller_dead=True):
        check_restarted_once(world, killed_at)
        (request,) = world.history()
        past = {
            step: [one["outcome"] for one in request.facts[step]["gone_past"]]
            for step in ("hold", "verify")
        }
        unreachable = ["controller_unreachable"]
        assert past == {"hold": unreachable, "verify": unreachable}, killed_at


def test_killed_at_any_boundary_what_was_busy_behind_the_drain_waits_and_is_restarted_once(
    make_world: MakeWorld,
) -> None:
    looks_often = partial(make_world, guards=Guards(idle_interval=Duration(2)))
    story = played(looks_often, (told,), since="after drain", busy_once_drained=BUSY_SECONDS)
    for world, killed_at in story:
        check_restarted_once(world, killed_at)
        (request,) = world.history()
        (wait,) = request.facts["waits"]
        assert (wait["for"], request.attempt) == ("busy", 1), killed_at
        assert [one["step"] for one in wait["after"]][-1] == "verify", killed_at
        waited_seconds = world.clock.wall_offset + world.node.commands[0] - wait["since"]
        assert waited_seconds >= BUSY_SECONDS, killed_at


def test_killed_at_any_boundary_a_reconnect_that_restarts_the_agent_is_told_of(
    make_world: MakeWorld,
) -> None:
    story = played(make_world, (told,), since="before reconnect", reconnect_restarts=True)
    for world, killed_at in story:
        check_restarted_once(world, killed_at)
        (request,) = world.history()
        assert "it was restarted once more before the end" in request.reason, killed_at
        (restarted_at,) = world.node.starts
        assert world.node.life > world.clock.wall_offset + restarted_at + 1, killed_at
