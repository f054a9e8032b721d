"""What a restart bought, when that is too little, and what an alert about the life before does."""

from __future__ import annotations

from typing import Any

import pytest

from memleash_responder.core.alerts import Alert, parse_notification
from memleash_responder.core.diagnosis_settings import Diagnose, Discover
from memleash_responder.core.policy import Guards
from memleash_responder.core.time_bought import SHOWN_SECONDS
from memleash_responder.usecases import overview
from memleash_responder.usecases.diagnosis_requests import DiagnosisRequests
from memleash_responder.usecases.fleet import remembered, rows_of_host
from memleash_responder.usecases.readings import as_reading
from memleash_responder.web.metrics import StateCollector
from memleash_toolkit.values import Count, Duration
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE
from tests.unit.usecases.world import AGENT, World

HOUR = 3600.0
AT_ONCE = Guards(
    startup_grace=Duration(0), cooldown=Duration(0), max_restarts=Count(99), retry_after=Duration(0)
)
AFTER_A_RESTART = pytest.mark.parametrize("minutes", [1, 5, 15])


def restarted_after(world: World, hours: float, *, age: float = 0.0) -> None:
    """Have the agent pass its limit so long after the last restart, and be restarted again.

    The alert began ``age`` seconds before.
    """
    world.clock.advance(hours * HOUR)
    world.node.resident_bytes = LARGE
    world.alert(age=age)
    world.run()


def bought(world: World) -> list[float]:
    times = world.services.tables.restart_history.times_bought()
    return [round(one.seconds / HOUR, 2) for one in times]


# -- the time bought -----------------------------------------------------------------------------


def test_a_restart_bought_the_time_until_the_next_alert_began(make_world: MakeWorld) -> None:
    world = make_world(guards=AT_ONCE)
    restarted_after(world, 1)
    assert bought(world) == [], "nobody knows yet"
    restarted_after(world, 6)
    restarted_after(world, 2.5)
    assert bought(world) == [6, 2.5]


def test_it_is_known_as_soon_as_the_alert_was_told_whatever_becomes_of_that(
    make_world: MakeWorld,
) -> None:
    world = make_world(guards=AT_ONCE)
    restarted_after(world, 1)
    world.node.running = ["task-7"]
    restarted_after(world, 3)
    world.clock.advance(HOUR)
    world.tell(world.last_alert)
    world.run()
    assert world.outcomes() == ["restarted", "tasks_running", "tasks_running"]
    assert bought(world) == [3]


def test_where_no_alert_told_the_next_restart_ends_it(make_world: MakeWorld) -> None:
    world = make_world(guards=AT_ONCE)
    restarted_after(world, 1)
    world.clock.advance(4 * HOUR)
    world.node.resident_bytes = LARGE
    request = world.requests.ask_for_person("node-1", AGENT, "ann", forced=False)
    world.requests.consider(request.id)
    world.run()
    assert world.outcomes() == ["restarted", "restarted"]
    assert bought(world) == [4]


def test_an_alert_about_the_life_before_ends_nothing(make_world: MakeWorld) -> None:
    """It began after the command and before the new process started."""
    world = make_world(guards=AT_ONCE)
    restarted_after(world, 1)
    world.clock.advance(60)
    world.node.life += 30
    world.alert(age=50.0)
    world.run()
    assert world.outcomes() == ["restarted", "already_restarted"]
    restarted_after(world, 5)
    assert bought(world) == [5.02]


def test_three_restarts_in_a_row_that_bought_under_half_of_the_first_quarantine_the_agent(
    make_world: MakeWorld,
) -> None:
    world = make_world(guards=AT_ONCE)
    for hours in (1.0, 6.0, 2.0, 2.0, 2.0):
        assert not world.services.tables.quarantine.all()
        restarted_after(world, hours)
    ((_, why),) = world.services.tables.quarantine.all().values()
    assert why == "restarts help less and less: one bought 6h, the last three 2h, 2h, 2h"
    restarted_after(world, 2)
    assert world.outcomes()[-2:] == ["restarted", "quarantined"]
    assert world.services.tables.quarantine.clear("node-1", AGENT)
    for hours in (2.0, 0.5, 0.5):
        restarted_after(world, hours)
        assert world.outcomes()[-1] == "restarted", "a person's word counts for three such times"
    restarted_after(world, 0.5)
    assert "one bought 2h" in str(world.services.tables.quarantine.all())


def test_people_are_told_what_restarts_bought(make_world: MakeWorld) -> None:
    world = make_world(guards=AT_ONCE)
    for hours in (1, 6, 2, 4):
        restarted_after(world, hours)
    services = world.services
    (of_agent,) = overview.summary(services, 0.0).bought
    assert of_agent == overview.Bought(AGENT, 3, 2 * HOUR, 4 * HOUR, 6 * HOUR)
    host = services.outside.inventory.get("node-1")
    assert host is not None
    facts = services.outside.exporter.facts(host, AGENT)
    reading = as_reading(facts, 1, world.clock.now())
    (row,) = rows_of_host(services, host, {AGENT: reading}, remembered(services), {AGENT: ()})
    assert list(row.times_bought) == [6 * HOUR, 2 * HOUR, 4 * HOUR]
    assert scraped(world) == {("node-1", AGENT): 4 * HOUR}


def scraped(world: World) -> dict[tuple[str, str], float]:
    """Return what /metrics tells, by host and agent."""
    families: Any = StateCollector(world.services).collect()
    return {
        (one.labels["host"], one.labels["agent"]): one.value
        for family in families
        if family.name == "memleash_responder_restart_time_bought_seconds"
        for one in family.samples
    }


def test_people_are_told_of_thirty_days(make_world: MakeWorld) -> None:
    world = make_world(guards=AT_ONCE)
    for hours in (1, 6, 2):
        restarted_after(world, hours)
    world.clock.advance(SHOWN_SECONDS - 3 * HOUR)
    assert remembered(world.services).times_bought == {("node-1", AGENT): (2 * HOUR,)}
    assert scraped(world) == {("node-1", AGENT): 2 * HOUR}
    world.clock.advance(2 * HOUR)
    assert remembered(world.services).times_bought == {}
    assert scraped(world) == {}
    (of_agent,) = overview.summary(world.services, 0.0).bought
    assert of_agent.restarts == 2


# -- alerts on old data --------------------------------------------------------------------------


@AFTER_A_RESTART
def test_an_alert_that_still_fires_on_the_old_life_restarts_nothing(
    make_world: MakeWorld, minutes: int
) -> None:
    """Told again as it was; and begun anew, as from a window that spans both lives."""
    world = make_world(guards=AT_ONCE)
    restarted_after(world, 1, age=30.0)
    world.clock.advance(60 * minutes)
    world.tell(world.last_alert)
    world.run()
    world.alert(age=0.0)
    world.run()
    assert world.outcomes() == ["restarted", "already_restarted", "below_hard_limit"]
    assert len(world.node.commands) == 1
    assert (world.state(), world.node.drained) == ("connected", False)
    assert not bought(world), "nor does it end the time that was bought"


@AFTER_A_RESTART
def test_an_alert_that_still_fires_on_the_old_life_diagnoses_nothing(
    make_world: MakeWorld, minutes: int
) -> None:
    """Seen: the new process was looked at for an hour, for what the old one had done."""
    diagnose = Diagnose(Discover(pidfile="/run/a.pid"))
    world = make_world(guards=AT_ONCE, agent={"diagnose": diagnose})
    restarted_after(world, 1, age=30.0)
    (old,) = parse_notification(world.last_alert).alerts
    world.clock.advance(60 * minutes)
    world.alert(age=0.0)
    (new,) = parse_notification(world.last_alert).alerts
    requests = DiagnosisRequests(world.services)
    assert is_asked(requests, old) is False
    assert is_asked(requests, new) is True, "what began since is about the new one"


def is_asked(requests: DiagnosisRequests, alert: Alert) -> bool:
    return requests.ask(alert) is not None
