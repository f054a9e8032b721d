"""What /metrics tells of requests, as the alerts about them need it."""

from __future__ import annotations

from typing import Any

from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.restarts import Restart
from memleash_responder.web.metrics import StateCollector
from tests.unit.usecases.outside import LARGE
from tests.unit.usecases.world import AGENT, World


def told(world: World, name: str, label: str) -> set[str]:
    families: Any = StateCollector(world.services).collect()
    return {
        sample.labels[label]
        for family in families
        if family.name == f"memleash_responder_{name}"
        for sample in family.samples
    }


def again(world: World) -> None:
    """Let a refusal become old enough, and Alertmanager tell of the same alert."""
    world.clock.advance(300)
    world.tell(world.last_alert)


def test_a_refusal_stands_until_the_next_request_has_its_word(world: World) -> None:
    world.node.resident_bytes, world.node.controller_answers = LARGE, False
    world.alert()
    world.run()
    assert told(world, "restart_blocked", "reason") == {"controller_unreachable"}
    again(world)
    for notification in world.services.tables.inbox.waiting(before=float("inf")):
        world.intake.handle(notification)
    assert world.services.tables.restarts.open_of("node-1", AGENT) is not None
    assert told(world, "restart_blocked", "reason") == {"controller_unreachable"}
    world.node.controller_answers = True
    world.run()
    assert told(world, "restart_blocked", "reason") == set()


def test_no_series_is_told_twice(world: World) -> None:
    requests = world.services.tables.restarts
    for alert in "ab":  # two alerts about one agent, told and refused in one go
        requests.open_all([_refused(world, alert)])
    families: Any = list(StateCollector(world.services).collect())
    series = [(s.name, *sorted(s.labels.items())) for family in families for s in family.samples]
    assert len(series) == len(set(series))
    assert told(world, "restart_blocked", "reason") == {"storm"}


def _refused(world: World, alert: str) -> Restart:
    now = world.clock.now()
    return Restart(
        id=alert,
        host="node-1",
        agent=AGENT,
        requested_at=now,
        requested_by="alert",
        forced=False,
        step="requested",
        fingerprint=alert,
        alert_started_at=now,
        outcome=Outcome.STORM,
        finished_at=now,
    )


def test_a_failed_restart_is_told_beside_the_refusals_after_it(world: World) -> None:
    world.node.resident_bytes, world.node.ssh = LARGE, "fails"
    world.node.reconnects = False
    world.alert()
    world.run()
    again(world)
    world.run()
    assert world.outcomes() == [Outcome.COMMAND_FAILED, Outcome.HOST_NOT_CONNECTED]
    assert told(world, "last_restart_timestamp_seconds", "outcome") == set(world.outcomes())
