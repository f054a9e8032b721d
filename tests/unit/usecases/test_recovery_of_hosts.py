"""Hosts that a restart lost, and undrains that are owed: given back by themselves, in time."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from responder.adapters.database.requests import Restart
from responder.core.host_states import HostEvent
from responder.core.outcomes import Outcome
from responder.usecases.hold import undrain
from responder.usecases.recovery import Recovery, next_attempt_seconds
from tests.unit.usecases.outside import LARGE
from tests.unit.usecases.world import AGENT, World


def lose(world: World, **node: Any) -> None:
    """Have a restart fail so that the host is disconnected."""
    world.node.resident_bytes = LARGE
    for name, value in node.items():
        setattr(world.node, name, value)
    world.alert()
    world.run()
    assert world.state() == "disconnected"


def test_a_lost_host_comes_back_once_its_agent_answers_ready(world: World) -> None:
    lose(world, becomes_ready=False)
    assert not world.reconnects
    world.node.ready = True
    world.clock.advance(120)
    world.recovery.look()
    assert world.reconnects == ["node-1"]
    assert (world.state(), world.node.drained) == ("connected", False)
    assert len(world.node.commands) == 1, "it is given back, not restarted"


def test_a_lost_host_stays_drained_and_its_pings_are_not_muted(world: World) -> None:
    lose(world, reconnects=False)
    assert world.node.drained
    assert not world.muted()


def test_reconnects_are_tried_every_minute_with_backoff(world: World) -> None:
    lose(world, reconnects=False)
    world.reconnects.clear()
    tried = []
    for second in range(3600):
        world.recovery.look()
        if world.reconnects:
            tried.append(second)
            world.reconnects.clear()
        world.clock.advance(1)
    waits = [after - before for before, after in itertools.pairwise(tried)]
    assert tried[0] == 60, "the first was tried at once, when the host was lost"
    assert waits == [120, 240, 480, 900, 900]
    assert [next_attempt_seconds(number) for number in (1, 2, 3, 4, 5, 99)] == [
        60,
        120,
        240,
        480,
        900,
        900,
    ]


def test_a_clock_that_was_set_back_does_not_put_off_a_reconnect(world: World) -> None:
    """Seen: set back by a day, a lost host was left alone for a day."""
    lose(world, reconnects=False)
    world.node.reconnects = True
    world.clock.wall_offset -= 86_400
    world.recovery.look()
    assert world.state() == "connected"


def test_a_controller_that_hangs_holds_up_nothing_else(world: World) -> None:
    """Seen: mutes, the sweep and the sign of life waited half an hour for one controller."""
    lose(world, reconnects=False)
    world.clock.advance(3600)
    asked, answer = Event(), Event()
    controllers: Any = world.services.outside.controllers

    def hang(*_: object, **__: object) -> None:
        asked.set()
        assert answer.wait(60)

    controllers.reconnect = hang
    with ThreadPoolExecutor(2) as workers:
        recovery = Recovery(world.services, workers)
        recovery.look()
        assert asked.wait(60)
        asked.clear()
        recovery.look()
        assert not asked.is_set(), "one attempt at a time for a host"
        answer.set()
    assert world.state() == "connected"


def test_an_undrain_that_failed_is_given_later_and_not_in_a_tight_loop(world: World) -> None:
    world.node.resident_bytes = LARGE
    world.alert()
    controllers: Any = world.services.outside.controllers
    drain = controllers.drain

    def drain_then_break(*args: Any) -> None:
        drain(*args)
        world.node.controller_answers = False

    controllers.drain = drain_then_break
    world.run()
    assert world.outcomes() == ["controller_unreachable"]
    assert (world.state(), world.node.drained) == ("connected", True)
    before = len([one for one in world.boundaries if one == "before undrain"])
    for _ in range(30):
        world.recovery.look()
        world.clock.advance(1)
    tried = len([one for one in world.boundaries if one == "before undrain"]) - before
    assert tried <= 1
    world.node.controller_answers = True
    world.clock.advance(120)
    world.recovery.look()
    assert not world.node.drained


def held(world: World, restart_id: str) -> None:
    """Open a request, and let it hold the host."""
    now = world.clock.now()
    request = Restart(
        id=restart_id,
        host="node-1",
        agent=AGENT,
        requested_at=now,
        requested_by="test",
        forced=False,
        step="hold",
    )
    assert world.services.memory.requests.open(request)[1]
    assert world.services.memory.hosts.hold("node-1", restart_id, AGENT, now)


def ended(world: World, restart_id: str) -> None:
    """Give a request its word and nothing back."""
    requests = world.services.memory.requests
    assert requests.finish(restart_id, Outcome.BUSY, "it was busy", world.clock.now())


def test_an_ended_request_cannot_hold_a_host(world: World) -> None:
    """Seen: a replica that was frozen before it held the host held it after the restart's end."""
    held(world, "first")
    world.services.memory.hosts.change("node-1", HostEvent.RESTORE, "first", world.clock.now())
    ended(world, "first")
    assert not world.services.memory.hosts.hold("node-1", "first", AGENT, world.clock.now())
    assert world.state() == "connected"


def test_an_owed_undrain_does_not_undrain_a_restart_that_began_meanwhile(world: World) -> None:
    """Seen: the late undrain took the new restart's drain away, and its owed undrain with it."""
    hosts, now = world.services.memory.hosts, world.clock.now()
    held(world, "first")
    hosts.change("node-1", HostEvent.RESTORE, "first", now)
    ended(world, "first")
    controllers: Any = world.services.outside.controllers
    undrain_of = controllers.undrain

    def slow_undrain(*args: Any) -> None:
        held(world, "second")
        world.node.drained = True
        undrain_of(*args)

    controllers.undrain = slow_undrain
    assert undrain(world.services, "node-1", AGENT)
    assert world.node.drained
    assert hosts.get("node-1").drained, "the second one's undrain is still owed"


def test_a_host_that_is_held_by_nobody_is_lost_and_then_found(world: World) -> None:
    held(world, "forgotten")
    ended(world, "forgotten")
    world.recovery.look()
    assert world.state() == "disconnected"
    world.recovery.look()
    assert world.state() == "connected"
