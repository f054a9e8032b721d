"""What people decide: restarts for a reason, restarts at a time, and denials that hold."""

from __future__ import annotations

from memleash_responder.core.policy import Mode
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE
from tests.unit.usecases.world import AGENT, World, leak_and_fire

HOUR = 3600.0


def test_a_person_restarts_an_agent_below_its_limit_for_a_reason(world: World) -> None:
    asked = world.requests.ask_for_person("node-1", AGENT, "ann", purpose="an upgrade")
    world.requests.consider(asked.id)
    world.run()
    (request,) = world.history()
    assert (request.outcome, request.purpose) == ("restarted", "an upgrade")
    assert len(world.node.starts) == 1
    assert world.services.tables.quarantine.all() == {}


def test_without_a_reason_an_agent_below_its_limit_stays_as_it_is(world: World) -> None:
    asked = world.requests.ask_for_person("node-1", AGENT, "ann")
    world.requests.consider(asked.id)
    world.run()
    assert world.outcomes() == ["below_hard_limit"]


def test_a_reason_goes_past_no_other_guard(world: World) -> None:
    world.node.running = ["migrate"]
    asked = world.requests.ask_for_person("node-1", AGENT, "ann", purpose="an upgrade")
    world.requests.consider(asked.id)
    world.run()
    assert world.outcomes() == ["tasks_running"]
    assert world.node.commands == []


def test_planned_work_begins_at_its_time_and_holds_nothing_before(world: World) -> None:
    at = world.clock.now() + HOUR
    asked = world.requests.ask_for_person(
        "node-1", AGENT, "ann", purpose="an upgrade", not_before=at
    )
    world.requests.consider(asked.id)
    (request,) = world.history()
    assert (request.step, request.waits_for) == ("waiting", "outside_window")
    assert (world.node.drained, world.state()) == (False, "connected")
    world.start()
    world.run()
    assert world.outcomes() == ["restarted"]
    assert world.clock.now() >= at


def test_who_asks_for_now_does_not_wait_for_what_is_planned(world: World) -> None:
    later = world.clock.now() + HOUR
    asked = world.requests.ask_for_person("node-1", AGENT, "ann", purpose="x", not_before=later)
    world.requests.consider(asked.id)
    world.requests.ask_for_person("node-1", AGENT, "bob")
    world.run()
    assert world.outcomes() == ["restarted"]
    assert world.clock.now() < later


def test_several_repeated_plans_are_not_taken_for_restarts_that_help_less(world: World) -> None:
    for hours in (90, 20, 10, 5, 2):
        asked = world.requests.ask_for_person("node-1", AGENT, "ann", purpose="x")
        world.requests.consider(asked.id)
        world.run()
        world.clock.advance(hours * HOUR)
    assert world.outcomes() == ["restarted"] * 5
    assert world.services.tables.quarantine.all() == {}


# -- denials -------------------------------------------------------------------------------------


def denied(make_world: MakeWorld, until: float | None = None) -> World:
    """Return a world in which a person has just said no to what an alert asked for."""
    world = make_world(agent={"mode": Mode.APPROVE})
    leak_and_fire(world)
    world.run()
    (request,) = world.history()
    until = None if until is None else world.clock.now() + until
    assert world.requests.deny(request.id, "ann", until)
    return world


def asked_again(world: World, after: float) -> str | None:
    """Tell the alert again, and return what becomes of what it asks for."""
    world.clock.advance(after)
    world.tell(world.last_alert)
    world.run()
    newest = world.history()[-1]
    return newest.outcome or newest.step


def test_a_denial_holds_while_the_process_lives(make_world: MakeWorld) -> None:
    world = denied(make_world)
    assert asked_again(world, HOUR) == "denied"
    world.start()
    assert asked_again(world, 24 * HOUR) == "denied"
    assert world.history()[-1].reason.startswith("restarts are denied by ann for as long as")
    world.node.life = world.clock.now()
    world.clock.advance(HOUR)
    world.node.resident_bytes = LARGE
    world.alert()
    world.run()
    assert world.history()[-1].step == "awaiting_approval", "a new process is asked about anew"


def test_what_a_person_planned_is_cancelled_and_denies_nothing_else(world: World) -> None:
    """Found: whoever cancelled an upgrade kept a leaking agent from being restarted, too."""
    later = world.clock.now() + HOUR
    asked = world.requests.ask_for_person("node-1", AGENT, "ann", purpose="x", not_before=later)
    world.requests.consider(asked.id)
    assert world.requests.deny(asked.id, "ann")
    leak_and_fire(world)
    world.run()
    assert world.outcomes() == ["denied", "restarted"]


def test_with_an_end_a_denial_of_what_a_person_asked_for_holds(world: World) -> None:
    later = world.clock.now() + HOUR
    asked = world.requests.ask_for_person("node-1", AGENT, "ann", purpose="x", not_before=later)
    world.requests.consider(asked.id)
    assert world.requests.deny(asked.id, "bob", later)
    leak_and_fire(world)
    world.run()
    assert world.outcomes() == ["denied", "denied"]


def test_a_denial_for_a_time_ends_then_and_not_with_the_process(make_world: MakeWorld) -> None:
    world = denied(make_world, until=8 * HOUR)
    assert asked_again(world, 7 * HOUR) == "denied"
    assert asked_again(world, 2 * HOUR) == "awaiting_approval"


def test_a_denial_holds_for_people_too_until_it_is_taken_back(make_world: MakeWorld) -> None:
    world = denied(make_world)
    asked = world.requests.ask_for_person("node-1", AGENT, "bob")
    world.requests.consider(asked.id)
    assert world.history()[-1].outcome == "denied"
    assert world.services.tables.denials.clear("node-1", AGENT)
    assert not world.services.tables.denials.clear("node-1", AGENT), "there is none any more"
    asked = world.requests.ask_for_person("node-1", AGENT, "bob")
    world.requests.consider(asked.id)
    world.run()
    assert world.history()[-1].outcome == "restarted"


def test_a_denial_whose_process_was_not_known_holds_until_it_is_taken_back(
    make_world: MakeWorld,
) -> None:
    world = make_world(agent={"mode": Mode.APPROVE})
    leak_and_fire(world)
    world.run()
    world.node.exporter_answers = False
    assert world.requests.deny(world.history()[-1].id, "ann")
    world.node.exporter_answers = True
    world.node.life = world.clock.now()
    assert asked_again(world, HOUR) in ("denied", "already_restarted")
    world.alert()
    world.run()
    assert world.history()[-1].outcome == "denied"
