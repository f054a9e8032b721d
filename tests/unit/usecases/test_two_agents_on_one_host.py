"""Two agents of one host over their limits at once: what one does with the host is its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memleash_responder.core.policy import Fleet, Guards, Mode
from memleash_responder.core.progress import Progress
from memleash_responder.core.restarts import AWAITING_APPROVAL, QUEUED
from memleash_responder.usecases.restart_steps import release
from memleash_toolkit.values import Count, Duration
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE, LIMIT, Node
from tests.unit.usecases.world import World

AT_ONCE = Guards(startup_grace=Duration(0), cooldown=Duration(0), retry_after=Duration(0))
ROOM_FOR_BOTH = Fleet(storm_fraction=1.0, max_concurrent_restarts=Count(8))


def both_over_the_limit(make_world: MakeWorld, **how: object) -> World:
    world = make_world(shared=True, guards=AT_ONCE, fleet=ROOM_FOR_BOTH, **how)
    for name, node in world.nodes.items():
        node.resident_bytes = LARGE
        world.alert(name)
    return world


def during_the_first_command(world: World, act: Callable[[], None]) -> None:
    def look(node: Node) -> None:
        if node is world.node:
            act()

    world.check_before_command = look  # type: ignore[method-assign]


def test_both_are_restarted_one_after_the_other_and_the_host_is_released(
    make_world: MakeWorld,
) -> None:
    """Seen: with room for both the second was refused as host_not_connected, and people paged."""
    world = both_over_the_limit(make_world)
    during_the_first_command(world, world.engine.run_another)
    world.run()
    assert [world.outcomes(name) for name in world.nodes] == [["restarted"], ["restarted"]]
    assert world.reconnects == ["node-1", "node-1"]
    assert (world.state(), world.node.drained) == ("connected", False)
    calls = [one for one in world.boundaries if one in ("after drain", "after undrain")]
    assert calls == ["after drain", "after undrain"] * 2


def test_who_is_asked_for_while_the_host_is_held_is_queued_behind_that(
    make_world: MakeWorld,
) -> None:
    world = make_world(shared=True, guards=AT_ONCE, fleet=ROOM_FOR_BOTH)
    steps: list[str] = []

    def second_is_over() -> None:
        world.nodes["node-2"].resident_bytes = LARGE
        world.alert("node-2")
        for one in world.services.tables.inbox.waiting(before=float("inf")):
            world.intake.handle(one)
        steps.append(world.history("node-2")[0].step)

    during_the_first_command(world, second_is_over)
    world.node.resident_bytes = LARGE
    world.alert("node-1")
    world.run()
    assert steps == [QUEUED]
    assert [world.outcomes(name) for name in world.nodes] == [["restarted"], ["restarted"]]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"mode": Mode.APPROVE}, (AWAITING_APPROVAL, None)),
        ({"mode": Mode.OBSERVE}, ("requested", "observe_mode")),
    ],
)
def test_a_held_host_hides_nothing_else_that_speaks_against_the_second(
    make_world: MakeWorld, how: dict[str, object], told: tuple[str, str | None]
) -> None:
    world = make_world(shared=True, guards=AT_ONCE, fleet=ROOM_FOR_BOTH, agent=how)
    now = world.clock.now()
    world.node.resident_bytes = LARGE
    first = world.requests.ask_for_person("node-1", "kvmagent", "ann", forced=False)
    assert world.services.tables.hosts.hold("node-1", first.id, "kvmagent", now)
    world.nodes["node-2"].resident_bytes = LARGE
    world.alert("node-2")
    for one in world.services.tables.inbox.waiting(before=float("inf")):
        world.intake.handle(one)
    (second,) = world.history("node-2")
    assert (second.step, second.outcome) == told


def test_the_first_failed_and_the_second_does_not_touch_a_lost_host(make_world: MakeWorld) -> None:
    world = both_over_the_limit(make_world)
    world.node.becomes_ready = False
    world.run()
    outcomes = [world.outcomes(name) for name in world.nodes]
    assert outcomes == [["not_ready"], ["host_not_connected"]]
    assert not world.nodes["node-2"].commands
    assert (world.state(), world.node.drained) == ("disconnected", True)


def test_a_release_that_goes_on_late_never_undrains_the_host_of_the_second(
    make_world: MakeWorld,
) -> None:
    """A replica was frozen in it, and another took the first one over.

    Seen: the first one undrained what the second held, and new work could begin between the
    second one's look at the tasks and its command.
    """
    world = both_over_the_limit(make_world)
    life, undrains = world.node.life, list[str]()

    def thaw(node: Node) -> None:
        if node is not world.node:
            (first,) = world.history("node-1")
            new_life, before = world.node.life, len(world.boundaries)
            release(
                world.services,
                first,
                Progress(life=life, hard_limit_bytes=LIMIT, new_life=new_life),
            )
            undrains.extend(one for one in world.boundaries[before:] if "undrain" in one)

    world.check_before_command = thaw  # type: ignore[method-assign]
    world.run()
    assert world.nodes["node-2"].commands
    assert undrains == []
    assert [world.outcomes(name) for name in world.nodes] == [["restarted"], ["restarted"]]
    assert (world.state(), world.node.drained) == ("connected", False)
