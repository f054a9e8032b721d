"""An unforeseen error ends with a word, its host is released, and the next host has its turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from memleash_responder.adapters.alertmanager import Silence
from memleash_responder.adapters.own_metrics import Part
from memleash_responder.core.facts import Host
from memleash_responder.core.mutes import Claim
from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.policy import Fleet
from memleash_responder.core.restarts import QUEUED, Restart
from memleash_responder.core.steps import Step
from memleash_responder.errors import AlertmanagerError
from memleash_responder.usecases import restart_steps as steps
from memleash_responder.usecases.abandoned_restarts import QUIET_SECONDS, AbandonedRestarts
from memleash_responder.usecases.keeper import Duty, Keeper
from memleash_responder.usecases.replicas import Liveness
from memleash_responder.usecases.silences import synchronize
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE
from tests.unit.usecases.world import AGENT, World


@pytest.fixture
def two(make_world: MakeWorld) -> World:
    """Two hosts whose agents are over the limit."""
    world = make_world(hosts=2, fleet=Fleet(max_concurrent_restarts=2, storm_fraction=1.0))
    for node in world.nodes.values():
        node.resident_bytes = LARGE
    return world


def counted(world: World, part: Part) -> float:
    return float(world.services.telemetry.failures.labels(part)._value.get())


def raising_for(host: str, then: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``then``, but it overflows for ``host``."""

    def act(about: Host, *args: object, **how: object) -> Any:
        if about.name == host:
            raise OverflowError("int too large to convert to float")
        return then(about, *args, **how)

    return act


def opened(world: World, *hosts: str) -> list[str]:
    """Open requests that a crash left before anybody looked at them."""
    now = world.clock.now()
    requests = [
        Restart(f"r-{host}", host, AGENT, now + number, "alice", False, "requested")
        for number, host in enumerate(hosts)
    ]
    return sorted(world.services.tables.restarts.open_all(requests))


def test_requests_that_a_crash_left_are_looked_at_though_one_raises(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = two.services.outside.exporter
    monkeypatch.setattr(exporter, "facts", raising_for("node-1", exporter.facts))
    opened(two, "node-1", "node-2")
    two.run()
    (bad,) = two.history("node-1")
    assert bad.outcome == "facts_unavailable"
    assert "OverflowError: int too large" in bad.reason
    assert two.outcomes("node-2") == ["restarted"]
    assert counted(two, Part.REQUESTS) == 1


def test_an_error_beneath_the_looking_leaves_the_others_their_turn(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = opened(two, "node-1", "node-2")
    taken: list[str] = []

    def start(_workflow: str, restart_id: str) -> None:
        if restart_id == ids[0]:
            raise ValueError("the engine says no")
        taken.append(restart_id)

    for one in ids:
        two.services.tables.restarts.advance(one, QUEUED)
    monkeypatch.setattr(two.engine, "start", start)
    two.requests.resume_open(before=float("inf"))
    assert taken == ids[1:]


@pytest.mark.parametrize("step", list(Step))
def test_whatever_a_step_raises_the_request_ends_and_its_host_is_released(
    two: World, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    then = steps.STEPS[step]

    def act(services: Any, restart: Restart, progress: Any) -> Any:
        if restart.host == "node-1":
            raise RecursionError("maximum recursion depth exceeded")
        return then(services, restart, progress)

    monkeypatch.setattr(steps, "STEPS", {**steps.STEPS, step: act})
    two.alert("node-1")
    two.alert("node-2")
    two.run()
    (ended,) = two.history("node-1")
    sent = step in (Step.READY, Step.RECONNECT, Step.RELEASE)
    assert ended.outcome == ("command_failed" if sent else "facts_unavailable")
    assert (two.state("node-1"), two.muted("node-1")) == ("connected", False)
    assert not two.nodes["node-1"].drained
    assert two.outcomes("node-2") == ["restarted"]
    assert counted(two, Part.STEP) == 1


def test_an_undrain_that_raises_stays_owed_and_is_given_later(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    controllers = two.services.outside.controllers
    good = controllers.undrain
    monkeypatch.setattr(controllers, "undrain", raising_for("node-1", good))
    two.nodes["node-1"].ssh = two.nodes["node-2"].ssh = "refused"
    two.alert("node-1")
    two.alert("node-2")
    two.run()
    assert two.outcomes("node-1") == two.outcomes("node-2") == ["ssh_unreachable"]
    assert (two.state("node-1"), two.muted("node-1")) == ("connected", False)
    assert (two.nodes["node-1"].drained, two.nodes["node-2"].drained) == (True, False)

    monkeypatch.setattr(controllers, "undrain", good)
    two.clock.advance(3600)
    two.recovery.look()
    assert not two.nodes["node-1"].drained


def test_a_mute_that_cannot_be_ended_keeps_nobody_from_the_word(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drop(host: str, claimant: str) -> None:
        raise ValueError(claimant)

    two.nodes["node-1"].ssh = "refused"
    monkeypatch.setattr(two.services.tables.mutes, "drop", drop)
    two.alert("node-1")
    two.run()
    assert two.outcomes("node-1") == ["ssh_unreachable"]
    assert two.state("node-1") == "connected"


def test_what_the_history_cannot_hold_stops_no_restart(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = two.services.tables.restarts
    note = requests.note

    def picky(restart_id: str, facts: Any, *args: Any, **how: Any) -> bool:
        if "life" in facts:
            raise ValueError("cannot be stored")
        return note(restart_id, facts, *args, **how)

    monkeypatch.setattr(requests, "note", picky)
    two.alert("node-1")
    two.run()
    (done,) = two.history("node-1")
    assert done.outcome == "restarted"
    assert [one["step"] for one in done.steps] == list(Step)


def test_an_orphan_that_cannot_be_ended_keeps_none_from_its_end(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = opened(two, "node-1", "node-2")
    for one in ids:
        two.services.tables.restarts.advance(one, Step.HOLD)
    finish = two.services.tables.restarts.finish

    def picky(restart_id: str, *args: Any, **how: Any) -> bool:
        if restart_id == ids[0]:
            raise ValueError("no")
        return finish(restart_id, *args, **how)

    def no_such_workflow(restart_id: str) -> None:
        raise LookupError(restart_id)

    monkeypatch.setattr(two.services.tables.restarts, "finish", picky)
    abandoned = AbandonedRestarts(two.services, set, no_such_workflow)
    abandoned.end()
    assert counted(two, Part.SWEEP) == 0, "they may be between two records"
    two.clock.advance(QUIET_SECONDS)
    abandoned.end()
    assert (two.outcomes("node-1"), two.outcomes("node-2")) == (["open"], ["facts_unavailable"])
    assert counted(two, Part.SWEEP) == 3


def stop_after_two_turns(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a loop that waits between its turns stop after the second."""
    waits = iter((False, True))

    def wait(_seconds: float | None = None) -> bool:
        if next(waits):
            world.services.stopping.set()
        return False

    for event in (world.services.stopping, world.services.mutes_changed):
        monkeypatch.setattr(event, "wait", wait)


def test_a_heartbeat_that_is_missed_is_followed_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    replicas = world.services.tables.replicas
    beat = replicas.beat

    def flaky(*args: str) -> None:
        monkeypatch.setattr(replicas, "beat", beat)
        raise ValueError("no")

    stop_after_two_turns(world, monkeypatch)
    monkeypatch.setattr(replicas, "beat", flaky)
    Liveness(world.services, "1", len).beat()
    assert set(replicas.signs()) == {"local"}
    assert counted(world, Part.HEARTBEAT) == 1


def test_a_keeper_that_misses_a_turn_has_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    leads = Liveness(world.services, "1", len).leads
    duties = [Duty(Part.PRUNE, lambda: done.append("x"), lambda: 1.0)]
    keeper = Keeper(world.services, duties, leads)
    replicas = world.services.tables.replicas
    lease = replicas.lease

    def flaky(*args: Any) -> bool:
        monkeypatch.setattr(replicas, "lease", lease)
        raise ValueError("no")

    stop_after_two_turns(world, monkeypatch)
    monkeypatch.setattr(replicas, "lease", flaky)
    keeper.run()
    assert done == ["x"]
    assert counted(world, Part.KEEPER) == 1


def test_a_host_whose_recovery_raises_keeps_no_other_from_its_own(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts, now = two.services.tables.hosts, two.clock.now()
    for name in two.nodes:
        (request,) = opened(two, name)
        assert hosts.hold(name, request, AGENT, now)
        two.services.tables.restarts.finish(request, Outcome.BUSY, "over", now)
    release = hosts.release

    def picky(host: str, *args: Any) -> Any:
        if host == "node-1":
            raise ValueError("no")
        return release(host, *args)

    monkeypatch.setattr(hosts, "release", picky)
    two.recovery.look()
    assert (two.state("node-1"), two.state("node-2")) == ("disconnected", "connected")
    assert counted(two, Part.RECOVER_HOSTS) == 1


def test_a_host_whose_silence_cannot_be_written_keeps_no_other_from_its_own(two: World) -> None:
    put: list[str] = []

    class Alertmanager:
        def silences(self) -> tuple[Silence, ...]:
            return ()

        def put(self, silence: Silence) -> str:
            (host,) = (one.value for one in silence.matchers if one.name == "host")
            if host == "node-1":
                raise OverflowError("date value out of range")
            put.append(host)
            return "s-1"

    object.__setattr__(two.services.outside, "alertmanager", Alertmanager())
    now = two.clock.now()
    for name in two.nodes:
        claim = Claim(f"busy:{AGENT}", now, int(now) + 600, "busy")
        two.services.tables.mutes.put(name, claim)
    with pytest.raises(AlertmanagerError, match="node-1: date value out of range"):
        synchronize(two.services)
    assert put == ["node-2"]
