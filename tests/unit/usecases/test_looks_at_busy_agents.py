"""Muted hosts are looked at again in time, whoever hangs; what does not change is not written."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, cast

import pytest

from memleash_responder.adapters.alertmanager import Silence
from memleash_responder.core.mutes import Claim
from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.restarts import Restart
from memleash_responder.errors import DatabaseUnavailable
from memleash_responder.usecases.intake import Intake
from memleash_responder.usecases.muting import Muting
from memleash_responder.usecases.silences import synchronize
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.world import AGENT, SECOND_AGENT, Inline, World

INTERVAL_SECONDS = 15.0
HANGS = 3600.0
BUSY = f"busy:{AGENT}"


class Later(Executor):
    """Keeps what it is given until it is told to run it."""

    def __init__(self, *, threads: bool = True) -> None:
        self.threads = threads
        """Whether a thread can be had."""
        self._work: list[Callable[[], object]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if not self.threads:
            raise RuntimeError("can't start new thread")
        self._work.append(lambda: fn(*args, **kwargs))
        return Future()

    def run(self) -> None:
        """Do all of it, in the order in which it came."""
        while self._work:
            self._work.pop(0)()


class Looks:
    """A world's mutes, with the patient looks kept apart."""

    def __init__(self, world: World) -> None:
        self.world, self.patient = world, Later()
        self.muting = Muting(world.services, Inline(), self.patient)

    def muted(self, *hosts: str) -> None:
        """Have agents be busy and looked at."""
        for host in hosts:
            self.world.nodes[host].busy = True
            assert self.look(host) == [True]

    def look(self, host: str, agent: str = AGENT) -> list[bool]:
        """Look at an agent; return whether it could be asked, once that is known."""
        ended = list[bool]()
        self.muting.look(host, agent, ended.append)
        return ended

    def claims(self, host: str) -> dict[str, Claim]:
        return {one.claimant: one for one in self.world.services.tables.mutes.of_host(host)}

    def until(self, host: str) -> int:
        return self.claims(host)[BUSY].until

    def rounds(self, seconds: float) -> None:
        """Renew every interval for a while, and let the patient looks be done in between."""
        end = self.world.clock.uptime_seconds + seconds
        while self.world.clock.uptime_seconds < end:
            due = self.world.clock.uptime_seconds + INTERVAL_SECONDS
            self.muting.renew()
            self.patient.run()
            self.world.clock.advance(max(0.0, due - self.world.clock.uptime_seconds))


@pytest.fixture
def ten(make_world: MakeWorld) -> Looks:
    """Ten hosts whose agents are busy and muted."""
    looks = Looks(make_world(hosts=10))
    looks.muted(*looks.world.nodes)
    return looks


def test_hosts_that_hang_cost_the_others_a_second_once_and_nothing_from_then_on(ten: Looks) -> None:
    for name in ("node-1", "node-2", "node-3"):
        ten.world.nodes[name].exporter_takes_seconds = HANGS
    for waited_seconds in (3.0, 0.0):
        ten.world.clock.advance(90)
        began = ten.world.clock.uptime_seconds
        ten.muting.renew()
        assert ten.world.clock.uptime_seconds == began + waited_seconds
        now = ten.world.clock.now()
        assert all(ten.until(f"node-{n}") >= now + 300 - waited_seconds for n in range(4, 11))
        ten.patient.run()


def test_a_host_that_hangs_is_asked_again_after_growing_pauses(ten: Looks) -> None:
    node = ten.world.nodes["node-1"]
    node.exporter_takes_seconds = HANGS
    node.asked_at.clear()
    ten.rounds(400)
    waits = [round(later - one) for one, later in itertools.pairwise(node.asked_at)]
    assert waits[0] == 1, "not promptly, then patiently"
    assert waits[1:4] == sorted(waits[1:4])
    assert waits[1] >= INTERVAL_SECONDS * 2
    assert 75 <= max(waits) <= 75 + INTERVAL_SECONDS + 5


def test_what_hangs_is_neither_renewed_nor_ended_and_its_mute_runs_out(ten: Looks) -> None:
    node, until = ten.world.nodes["node-1"], ten.until("node-1")
    node.exporter_takes_seconds = HANGS
    ten.rounds(400)
    assert ten.until("node-1") == until
    assert not ten.world.muted("node-1")
    assert ten.world.muted("node-2")


def test_a_host_that_answers_again_is_looked_at_as_often_as_before(ten: Looks) -> None:
    node = ten.world.nodes["node-1"]
    node.exporter_takes_seconds = HANGS
    ten.rounds(100)
    node.exporter_takes_seconds = 0.0
    ten.rounds(90)
    node.asked_at.clear()
    ten.rounds(60)
    assert len(node.asked_at) == 4
    assert ten.until("node-1") >= ten.world.clock.now() + 300 - 75 - INTERVAL_SECONDS


def test_a_slow_host_that_answers_in_time_is_renewed_while_others_hang(ten: Looks) -> None:
    slow = ten.world.nodes["node-1"]
    slow.exporter_takes_seconds = 3.0
    for name in list(ten.world.nodes)[1:]:
        ten.world.nodes[name].exporter_takes_seconds = HANGS
    for _ in range(40):
        ten.rounds(INTERVAL_SECONDS)
        assert ten.until("node-1") > ten.world.clock.now() + 75


def test_an_exporter_that_refuses_is_asked_every_interval(ten: Looks) -> None:
    node = ten.world.nodes["node-1"]
    node.exporter_answers = False
    node.asked_at.clear()
    ten.rounds(90)
    assert len(node.asked_at) == 6


@pytest.mark.parametrize("hangs", [False, True], ids=["promptly", "patiently"])
def test_a_host_for_which_no_thread_could_be_had_is_looked_at_in_the_next_round(
    world: World, *, hangs: bool
) -> None:
    scarce = Later(threads=False)
    looks = Looks(world)
    looks.muted("node-1")
    looks.muting = (
        Muting(world.services, Inline(), scarce)
        if hangs
        else Muting(world.services, scarce, looks.patient)
    )
    world.node.exporter_takes_seconds = HANGS if hangs else 0.0
    world.clock.advance(90)
    with contextlib.nullcontext() if hangs else pytest.raises(RuntimeError):
        looks.muting.renew()
    scarce.threads, world.node.exporter_takes_seconds = True, 3.0 if hangs else 0.0
    looks.muting.renew()
    scarce.run()
    assert looks.until("node-1") > world.clock.now() + 290


def test_idle_is_found_at_the_next_look(ten: Looks) -> None:
    ten.world.nodes["node-1"].busy = False
    ten.muting.renew()
    assert ten.claims("node-1")[BUSY].ending


def test_a_look_that_changes_nothing_writes_nothing(ten: Looks) -> None:
    for seconds, writes in ((30, 0), (60, 10), (15, 0)):
        ten.world.clock.advance(seconds)
        ten.world.boundaries.clear()
        ten.muting.renew()
        assert ten.world.boundaries.count("before a write") == writes


def test_two_agents_of_one_host_are_one_question(make_world: MakeWorld) -> None:
    looks = Looks(make_world(shared=True))
    looks.world.nodes["node-1"].busy = looks.world.nodes["node-2"].busy = True
    for agent in (AGENT, SECOND_AGENT):
        looks.look("node-1", agent)
    looks.world.nodes["node-1"].asked_at.clear()
    looks.world.clock.advance(90)
    looks.muting.renew()
    assert len(looks.world.nodes["node-1"].asked_at) == 1
    now = looks.world.clock.now()
    assert [one.until for one in looks.claims("node-1").values()] == [now + 300] * 2


def test_a_restart_keeps_its_mute_while_the_hosts_exporter_hangs(ten: Looks) -> None:
    world, tables = ten.world, ten.world.services.tables
    world.nodes["node-1"].exporter_takes_seconds = HANGS
    now = world.clock.now()
    request = Restart("r-1", "node-1", AGENT, now, "alice", False, "requested")
    tables.restarts.open_all([request])
    tables.mutes.put("node-1", Claim("restart:r-1", now, int(now) + 300, "is being restarted"))
    ten.rounds(400)
    assert world.muted("node-1")
    tables.restarts.finish("r-1", Outcome.BUSY, "over", world.clock.now())
    ten.rounds(INTERVAL_SECONDS)
    assert not world.muted("node-1")


# -- alerts ----------------------------------------------------------------------------------------


def told_busy(looks: Looks, name: str) -> int:
    """Tell of AgentBusy; return how many notifications are not handled then."""
    world = looks.world
    intake = Intake(world.services, world.requests, looks.muting, cast(Any, None), Inline())
    payload = world._payload(name, firing=True, at=world.clock.now())
    payload["alerts"][0]["labels"] |= {"alertname": "AgentBusy", "remediation": "mute"}
    world.tell(payload)
    for notification in world.services.tables.inbox.waiting(before=float("inf")):
        intake.take(notification)
    return world.services.tables.inbox.length()


def test_an_alert_about_a_slow_host_stays_in_the_inbox_until_the_host_was_asked_with_patience(
    world: World,
) -> None:
    looks = Looks(world)
    world.node.busy, world.node.exporter_takes_seconds = True, 3.0
    assert told_busy(looks, "node-1") == 1
    assert not world.muted()
    looks.patient.run()
    assert world.services.tables.inbox.length() == 0
    assert world.muted()


def test_alerts_about_a_host_that_hangs_do_not_pile_up(world: World) -> None:
    looks = Looks(world)
    world.node.exporter_takes_seconds = HANGS
    assert told_busy(looks, "node-1") == 1
    looks.patient.run()
    began = world.clock.uptime_seconds
    assert told_busy(looks, "node-1") == 0, "it was asked, and it is asked again in its turn"
    assert world.clock.uptime_seconds == began, "nobody waited for it"
    looks.patient.run()
    assert len(world.node.asked_at) == 3


def test_a_patient_look_whose_claim_could_not_be_stored_leaves_the_alert_to_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks(world)
    world.node.busy, world.node.exporter_takes_seconds = True, 3.0
    told_busy(looks, "node-1")

    def gone(*_: object) -> None:
        raise DatabaseUnavailable("gone for a moment")

    with monkeypatch.context() as spoilt:
        spoilt.setattr(world.services.tables.mutes, "change", gone)
        looks.patient.run()
    assert world.services.tables.inbox.length() == 1
    assert told_busy(looks, "node-1") == 2
    looks.patient.run()
    assert world.services.tables.inbox.length() == 0
    assert world.muted()


# -- silences --------------------------------------------------------------------------------------


class FakeAlertmanager:
    """Keeps silences, and what it was asked."""

    def __init__(self) -> None:
        self.kept: dict[str, Silence] = {}
        self.asked: list[str] = []

    def silences(self) -> tuple[Silence, ...]:
        self.asked.append("list")
        return tuple(self.kept.values())

    def put(self, silence: Silence) -> str:
        self.asked.append("put")
        silence_id = silence.id or f"s-{len(self.kept)}"
        self.kept[silence_id] = dataclasses.replace(silence, id=silence_id)
        return silence_id


def test_a_round_asks_alertmanager_for_one_list_and_writes_what_changed(ten: Looks) -> None:
    alertmanager = FakeAlertmanager()
    object.__setattr__(ten.world.services.outside, "alertmanager", alertmanager)
    for seconds, puts in ((0, 10), (30, 0), (60, 10), (15, 0)):
        ten.world.clock.advance(seconds)
        ten.muting.renew()
        alertmanager.asked.clear()
        synchronize(ten.world.services)
        assert alertmanager.asked == ["list", *["put"] * puts]
    assert len(alertmanager.kept) == 10
