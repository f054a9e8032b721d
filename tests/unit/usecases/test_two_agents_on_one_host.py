"""Two agents of one host over their limits at once: what one does with the host is its own."""

from __future__ import annotations

from memleash_responder.core.policy import Guards
from memleash_toolkit.values import Duration
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE, Node
from tests.unit.usecases.world import World

WHILE_IT_HOLDS = (
    "after drain",
    "after the record of verify",
    "before the command",
    "before undrain",
)
AT_ONCE = Guards(startup_grace=Duration(0), cooldown=Duration(0), retry_after=Duration(0))


def both_over_the_limit(make_world: MakeWorld) -> World:
    world = make_world(shared=True, guards=AT_ONCE)
    for name, node in world.nodes.items():
        node.resident_bytes = LARGE
        world.alert(name)
    return world


def killed_before_the_first_one_has_ended(make_world: MakeWorld) -> World:
    """Return a world in which the first one has given all back, and the second one runs first."""
    world = both_over_the_limit(make_world)
    world.run()
    at = world.boundaries.index("before the record of release")
    world = both_over_the_limit(make_world)
    world.run_until_killed(at)
    world.engine.newest_first = True
    return world


def drained_at_commands(world: World) -> list[bool]:
    """Return a list that gets, at each command, whether the host was drained."""
    drained: list[bool] = []

    def look(node: Node) -> None:
        drained.append(world.node.drained)

    world.check_before_command = look  # type: ignore[method-assign]
    return drained


def test_both_are_restarted_one_after_the_other_and_the_host_is_given_back(
    make_world: MakeWorld,
) -> None:
    world = both_over_the_limit(make_world)
    world.run()
    assert [world.outcomes(name) for name in world.nodes] == [["restarted"], ["restarted"]]
    assert world.reconnects == ["node-1", "node-1"]
    assert (world.state(), world.node.drained) == ("connected", False)
    calls = [one for one in world.boundaries if one in ("after drain", "after undrain")]
    assert calls == ["after drain", "after undrain"] * 2


def test_the_first_ones_end_that_is_run_again_never_undrains_the_host_of_the_second(
    make_world: MakeWorld,
) -> None:
    """Seen: killed before the record of its release, the first one undrained what the second held,
    and new work could begin between the second one's look at the tasks and its command."""
    world = killed_before_the_first_one_has_ended(make_world)
    killed_at = len(world.boundaries)
    world.run()
    for later, boundary in enumerate(world.boundaries[killed_at:]):
        if boundary not in WHILE_IT_HOLDS:
            continue
        world = killed_before_the_first_one_has_ended(make_world)
        drained = drained_at_commands(world)
        world.interrupt_at = killed_at + later
        world.run()
        assert drained == [True], boundary
        assert (world.state(), world.node.drained) == ("connected", False), boundary
