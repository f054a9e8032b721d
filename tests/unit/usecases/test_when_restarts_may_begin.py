"""A request waits for its window, and for other people's alerts, as long as it takes."""

from __future__ import annotations

import time

from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.policy import Fleet, Guards, Mode
from memleash_responder.core.restarts import AWAITING_APPROVAL
from memleash_responder.settings import Agent, InventorySettings, Settings, restart_policy
from memleash_responder.usecases.explain import explain
from memleash_toolkit.values import Duration
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.world import AGENT, World, leak_and_fire

SELECTORS = ('severity="critical",team="storage"',)
SHORT = Guards(wait_for_idle=Duration(60))


def opens_in(world: World, minutes: int) -> tuple[str, float]:
    """Return a window that opens at a whole minute from now, and the world's uptime then."""
    opens = (world.clock.now() // 60 + minutes) * 60
    ends = opens + 3600
    text = "-".join(time.strftime("%H:%M", time.gmtime(at)) for at in (opens, ends))
    return f"{text} UTC", opens - world.clock.wall_offset


def test_a_request_waits_for_its_window_longer_than_for_idle_and_then_goes_on_by_itself(
    make_world: MakeWorld,
) -> None:
    window, opens = opens_in(make_world(), 4)
    world = make_world(guards=SHORT, agent={"windows": (window,)})
    leak_and_fire(world, busy=True)
    world.later(opens - world.clock.uptime_seconds + 40, lambda: setattr(world.node, "busy", False))
    world.run()

    (request,) = world.history()
    assert request.outcome is Outcome.RESTARTED
    assert [wait["for"] for wait in request.facts["waits"]] == ["outside_window", "busy"]
    assert "the next opens at" in request.facts["waits"][0]["reason"]
    assert request.waited_seconds < 60, "the window's time is not taken from the agent's"
    assert world.node.commands[0] >= opens


def test_a_request_waits_until_no_alert_fires_any_more_that_is_a_reason_to(
    make_world: MakeWorld,
) -> None:
    world = make_world(guards=SHORT, agent={"block_while_firing": SELECTORS})
    world.firing = ("StorageDown",)
    began = world.clock.uptime_seconds
    world.later(150, lambda: setattr(world, "firing", ("NetDown x2",)))
    world.later(300, lambda: setattr(world, "firing", ()))
    leak_and_fire(world)
    world.run()

    (request,) = world.history()
    assert request.outcome is Outcome.RESTARTED
    assert [wait["reason"] for wait in request.facts["waits"]] == [
        "until these are resolved: StorageDown",
        "until these are resolved: NetDown x2",
    ]
    assert 300 <= world.node.commands[0] - began <= 360


def test_a_person_is_asked_at_once_and_what_is_approved_waits_for_its_window(
    make_world: MakeWorld,
) -> None:
    window, opens = opens_in(make_world(), 4)
    world = make_world(agent={"mode": Mode.APPROVE, "windows": (window,)})
    leak_and_fire(world)
    world.run()
    (request,) = world.history()
    assert request.step == AWAITING_APPROVAL
    explained = explain(world.services, "node-1", AGENT)
    assert explained.refusal is not None
    assert explained.refusal.outcome is Outcome.AWAITING_APPROVAL

    assert world.requests.approve(request.id, "ann")
    world.run()
    assert world.outcomes() == ["restarted"]
    assert world.node.commands[0] >= opens


def test_an_agents_own_windows_replace_the_fleets_and_its_alerts_come_beside() -> None:
    fleet = Fleet(windows=("22:00-05:00 UTC",), block_while_firing=('team="storage"',))
    agents = {
        "plain": Agent("true"),
        "own": Agent("true", windows=("10:00-11:00 UTC",), block_while_firing=('team="web"',)),
        "any": Agent("true", windows=()),
    }
    settings = Settings(InventorySettings(()), agents, fleet=fleet)
    policies = {name: restart_policy(settings, name) for name in agents}

    windows = {name: [one.text for one in by.windows] for name, by in policies.items()}
    assert windows == {"plain": ["22:00-05:00 UTC"], "own": ["10:00-11:00 UTC"], "any": []}
    assert policies["own"].block_while_firing == ('team="storage"', 'team="web"')
    assert policies["plain"].block_while_firing == ('team="storage"',)
