"""What an agent's mode and its alerts make of a guarded restart."""

from __future__ import annotations

import pytest

from memleash_responder.core.policy import Mode
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE, LIMIT
from tests.unit.usecases.world import World, leak_and_fire, resolved

# -- modes ---------------------------------------------------------------------------------------


def test_observe_says_what_would_be_done_and_does_nothing(make_world: MakeWorld) -> None:
    world = make_world(agent={"mode": Mode.OBSERVE})
    leak_and_fire(world)
    world.run()
    (request,) = world.history()
    assert (request.outcome, request.facts["also_refused"]) == ("observe_mode", [])
    assert (world.node.commands, world.state()) == ([], "connected")
    assert "before drain" not in world.boundaries


def test_observe_tells_that_a_busy_agent_would_be_waited_for(make_world: MakeWorld) -> None:
    world = make_world(agent={"mode": Mode.OBSERVE})
    leak_and_fire(world, busy=True)
    world.run()
    (request,) = world.history()
    (other,) = request.facts["also_refused"]
    assert (request.outcome, other["outcome"]) == ("observe_mode", "busy")


def test_approve_asks_a_person_and_looks_again_when_one_has_spoken(make_world: MakeWorld) -> None:
    world = make_world(agent={"mode": Mode.APPROVE})
    leak_and_fire(world)
    world.run()
    (request,) = world.history()
    assert (request.outcome, request.step) == (None, "awaiting_approval")
    world.node.resident_bytes = LIMIT
    assert world.requests.approve(request.id, "ann")
    world.run()
    assert world.outcomes() == ["below_hard_limit"]
    assert not world.requests.approve(request.id, "bob"), "it waits no more"


def test_an_alert_that_resolves_takes_its_question_back(make_world: MakeWorld) -> None:
    world = make_world(agent={"mode": Mode.APPROVE})
    leak_and_fire(world)
    world.run()
    world.tell(resolved(world))
    world.run()
    assert world.outcomes() == ["resolved"]


# -- alerts --------------------------------------------------------------------------------------


def test_resolved_before_anything_was_done_starts_nothing(world: World) -> None:
    world.node.resident_bytes = LARGE
    world.alert(firing=False)
    world.run()
    assert world.outcomes() == []


def test_a_resolved_alert_after_the_command_changes_nothing(world: World) -> None:
    leak_and_fire(world, becomes_ready=False)

    def resolve_and_be_ready() -> None:
        world.node.ready = True
        if not world.services.tables.inbox.length():
            world.tell(resolved(world))

    world.clock.on_advance.append(resolve_and_be_ready)
    world.run()
    assert world.outcomes() == ["restarted"]


def test_an_alert_older_than_the_process_is_about_another_one(world: World) -> None:
    world.node.resident_bytes = LARGE
    world.node.life = world.clock.now() - 600
    world.alert(age=601)
    world.run()
    assert world.outcomes() == ["already_restarted"]


def test_an_agent_that_was_restarted_by_others_while_it_was_held_is_left_alone(
    world: World,
) -> None:
    leak_and_fire(world, busy=True)

    def restart_by_others() -> None:
        world.node.life = world.clock.now()
        world.node.busy = False

    world.later(5, restart_by_others)
    world.run()
    assert world.outcomes() == ["already_restarted"]
    assert not world.node.commands


@pytest.mark.parametrize("told", [1, 2, 5])
def test_duplicates_of_an_alert_make_one_request(world: World, told: int) -> None:
    leak_and_fire(world)
    for _ in range(told - 1):
        world.tell(world.last_alert)
    world.run()
    assert world.outcomes() == ["restarted"]
