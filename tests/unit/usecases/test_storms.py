"""The storm breaker: it opens, a person goes through it, and it closes by itself."""

from __future__ import annotations

from memleash_responder.core.policy import Fleet, Guards
from memleash_responder.core.storms import IGNORED
from memleash_responder.usecases.storm_breaker import STORM, watch_for_storm
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE
from tests.unit.usecases.world import World


def storm(make_world: MakeWorld) -> World:
    """Return a world of five hosts, all of them over their limit and told of, one by one."""
    world = make_world(hosts=5, fleet=Fleet(storm_fraction=0.2))
    for name, node in world.nodes.items():
        node.resident_bytes = LARGE
        world.alert(name)
    world.run()
    assert STORM in world.services.tables.flags.all()
    return world


def test_a_storm_restarts_nothing_until_a_person_resumes(make_world: MakeWorld) -> None:
    world = storm(make_world)
    late = [name for name in world.nodes if name != "node-1"]  # whose alert alone was no storm
    assert {word for name in late for word in world.outcomes(name)} == {"storm"}
    assert not any(world.nodes[name].commands for name in late)
    world.services.tables.flags.set(STORM, IGNORED, "ann", world.clock.now())
    world.clock.advance(Guards().retry_after)
    for name in late:
        world.alert(name, age=60 + Guards().retry_after)
    world.run()
    assert {name: world.outcomes(name)[-1] for name in late} == dict.fromkeys(late, "restarted")


def test_a_storm_calms_by_itself_when_nobody_tells_of_it_any_more(make_world: MakeWorld) -> None:
    """Seen: the breaker stayed open until the next notification, whenever that came."""
    world = storm(make_world)
    world.clock.advance(2 * 330)  # told again after 300 s, in turns of 15 s; one time was lost
    watch_for_storm(world.services)
    assert STORM in world.services.tables.flags.all()
    world.clock.advance(1)
    watch_for_storm(world.services)
    assert STORM not in world.services.tables.flags.all()


def test_a_clock_that_was_set_back_does_not_make_a_storm_last(make_world: MakeWorld) -> None:
    """Seen: set back by a day, every alert of the day counted as told just now."""
    world = storm(make_world)
    world.clock.wall_offset -= 86_400
    watch_for_storm(world.services)
    assert STORM not in world.services.tables.flags.all()
