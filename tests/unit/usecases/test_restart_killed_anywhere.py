"""Killed at any boundary (each write, each effect, each record), it goes on and restarts once."""

from __future__ import annotations

from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE
from tests.unit.usecases.world import World


def over_the_limit(make_world: MakeWorld, **node: object) -> World:
    world = make_world()
    world.node.resident_bytes = LARGE
    for name, value in node.items():
        setattr(world.node, name, value)
    world.alert()
    return world


def boundaries_of(make_world: MakeWorld, **node: object) -> list[str]:
    world = over_the_limit(make_world, **node)
    world.run()
    return world.boundaries


def test_killed_at_any_boundary_the_agent_is_restarted_exactly_once(
    make_world: MakeWorld,
) -> None:
    boundaries = boundaries_of(make_world)
    assert {"before the command", "after the command", "before the record of restart"} <= {
        *boundaries
    }
    for number, name in enumerate(boundaries):
        world = over_the_limit(make_world)
        world.kill_at = number
        world.run()
        killed_at = f"boundary {number}: {name}"
        assert len(world.node.starts) == 1, killed_at
        assert world.outcomes() == ["restarted"], killed_at
        assert (world.state(), world.node.drained) == ("connected", False), killed_at
        world.clock.advance(120)
        assert not world.muted(), killed_at


def test_killed_at_any_boundary_a_refusal_gives_everything_back(make_world: MakeWorld) -> None:
    for number, name in enumerate(boundaries_of(make_world, running=["task-7"])):
        world = over_the_limit(make_world, running=["task-7"])
        world.kill_at = number
        world.run()
        killed_at = f"boundary {number}: {name}"
        assert not world.node.commands, killed_at
        assert world.outcomes() == ["tasks_running"], killed_at
        assert (world.state(), world.node.drained) == ("connected", False), killed_at
        assert not world.muted(), killed_at


def test_killed_at_any_boundary_a_failure_is_told_and_never_tried_twice(
    make_world: MakeWorld,
) -> None:
    for number, name in enumerate(boundaries_of(make_world, becomes_ready=False)):
        world = over_the_limit(make_world, becomes_ready=False)
        world.kill_at = number
        world.run()
        killed_at = f"boundary {number}: {name}"
        assert len(world.node.starts) == 1, killed_at
        assert world.outcomes() == ["not_ready"], killed_at
        assert world.state() == "disconnected", killed_at
        assert not world.reconnects, killed_at
        assert not world.muted(), killed_at
