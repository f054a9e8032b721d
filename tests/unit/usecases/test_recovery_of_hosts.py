"""Hosts that a restart lost, and undrains that are owed: reconnected by themselves, in time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, cast

import pytest

from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.reconnects import next_attempt_seconds
from memleash_responder.core.restarts import Restart
from memleash_responder.errors import Conflict, DatabaseUnavailable, PeerRefused
from memleash_responder.usecases.host_recovery import Recovery
from memleash_responder.usecases.host_return import undrain
from memleash_responder.usecases.muting import Muting
from memleash_responder.usecases.operator import Operator
from tests.unit.usecases.outside import LARGE
from tests.unit.usecases.world import AGENT, Inline, World


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
    assert len(world.node.commands) == 1, "it is reconnected, not restarted"


def looked_at(world: World) -> str:
    """Let recovery do what is due in a while, and return the host's state then."""
    world.clock.advance(1000)
    world.recovery.look()
    return world.state()


def acts_of(world: World) -> Operator:
    """Return what a person can do; no diagnosis is asked for here."""
    return Operator(
        world.services,
        world.requests,
        Muting(world.services, Inline(), Inline()),
        cast(Any, None),
    )


@pytest.mark.parametrize("ssh", ["fails", "lost_before"])
def test_the_old_process_that_answers_does_not_bring_its_host_back(world: World, ssh: str) -> None:
    """Seen: undrained within a second, though the command might still run."""
    lose(world, ssh=ssh)
    assert world.outcomes() == ["command_failed"]
    assert looked_at(world) == "disconnected"
    assert world.node.drained
    assert not world.reconnects
    world.restart_agent(world.node)
    assert looked_at(world) == "connected"
    assert not world.node.drained


def test_a_command_that_outlives_its_timeout_strikes_no_host_that_was_reconnected(
    world: World,
) -> None:
    """Seen: 30 s of command, 8 s of timeout; reconnected at 17 s, struck at 31 s with a task."""
    world.node.ssh = "lost_before"
    lose(world)
    world.later(1500, lambda: world.restart_agent(world.node))
    assert looked_at(world) == "disconnected"
    assert not world.node.starts
    assert looked_at(world) == "connected"
    assert world.node.starts


@pytest.mark.parametrize("lacks", ["up", "ready", "is the only one", "is newer"])
def test_a_new_life_brings_its_host_back_when_nothing_is_missing(world: World, lacks: str) -> None:
    lose(world, ssh="fails")
    world.restart_agent(world.node)
    new_life = world.node.life
    broken = {"up": ("up", False), "ready": ("ready", False), "is newer": ("life", 1.0)}
    name, value = broken.get(lacks, ("several", True))
    setattr(world.node, name, value)
    assert looked_at(world) == "disconnected"
    world.node.up, world.node.ready, world.node.several = True, True, False
    world.node.life = new_life
    assert looked_at(world) == "connected"


def test_a_new_life_that_is_gone_after_the_reconnect_is_not_back(world: World) -> None:
    lose(world, becomes_ready=False)
    world.node.ready = True
    controllers: Any = world.services.outside.controllers
    reconnect = controllers.reconnect

    def slow_reconnect(*args: Any, **named: Any) -> None:
        reconnect(*args, **named)
        world.node.up = False

    controllers.reconnect = slow_reconnect
    assert looked_at(world) == "disconnected"
    assert world.node.drained


def test_a_persons_word_stands_in_for_the_new_life_and_is_recorded(world: World) -> None:
    lose(world, ssh="fails")
    operator = acts_of(world)
    world.node.ready = False
    with pytest.raises(PeerRefused, match="does not answer ready"):
        operator.reconnect("node-1", "ann")
    world.node.ready = True
    operator.reconnect("node-1", "ann")
    assert (world.state(), world.node.drained) == ("connected", False)
    (request,) = world.history()
    assert request.facts["taken_back_by"] == "ann"


def test_controllers_are_not_asked_twice_while_a_person_waits_for_them(world: World) -> None:
    """Seen: the word made an attempt due at once, and the agent was restarted by both."""
    lose(world, becomes_ready=False)
    world.node.ready = True
    while_asked(world, world.recovery.look)
    acts_of(world).reconnect("node-1", "ann")
    assert world.reconnects == ["node-1"]
    assert world.state() == "connected"


def test_a_word_that_comes_while_controllers_are_asked_counts_at_once_after_it(
    world: World,
) -> None:
    lose(world, ssh="fails")
    world.restart_agent(world.node)
    world.node.reconnects = False
    operator = acts_of(world)

    def ask() -> None:
        with pytest.raises(Conflict, match="asked again at once, with your word"):
            operator.reconnect("node-1", "ann")
        world.node.life = 1.0  # nothing proves any more that the command has struck

    while_asked(world, ask)
    world.clock.advance(1000)
    world.recovery.look()
    assert (world.reconnects, world.state()) == (["node-1"], "disconnected")
    world.node.reconnects = True
    world.recovery.look()
    assert (world.reconnects, world.state()) == (["node-1"] * 2, "connected")
    (request,) = world.history()
    assert request.facts["taken_back_by"] == "ann"


def test_a_database_that_is_gone_at_its_end_does_not_keep_an_attempt_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(world, becomes_ready=False)
    hosts = world.services.tables.hosts
    plan, tries = hosts.plan_attempt, itertools.count()

    def plan_later(*args: Any) -> None:
        if next(tries) < 2:
            raise DatabaseUnavailable("gone")
        plan(*args)

    monkeypatch.setattr(hosts, "plan_attempt", plan_later)
    assert looked_at(world) == "disconnected"
    world.node.ready = True
    assert looked_at(world) == "connected"


def test_what_a_process_of_that_name_was_about_ends_with_it(world: World) -> None:
    lose(world, becomes_ready=False)
    world.node.ready = True
    hosts = world.services.tables.hosts
    assert hosts.begin_attempt("node-1", world.services.executor_id)
    assert looked_at(world) == "disconnected"
    hosts.forget_attempts(world.services.executor_id)
    assert looked_at(world) == "connected"


def while_asked(world: World, act: Callable[[], object]) -> None:
    """Have ``act`` done in the middle of the next reconnect."""
    controllers: Any = world.services.outside.controllers
    reconnect = controllers.reconnect

    def asked(*args: Any, **named: Any) -> None:
        controllers.reconnect = reconnect
        try:
            reconnect(*args, **named)
        finally:
            act()

    controllers.reconnect = asked


def test_a_persons_word_about_one_loss_does_not_hold_for_the_next(world: World) -> None:
    lose(world, ssh="fails")
    operator = acts_of(world)
    operator.reconnect_soon("node-1", "ann")
    world.recovery.look()
    assert world.state() == "connected"
    world.clock.advance(86_400)
    lose(world, ssh="fails")
    assert looked_at(world) == "disconnected"


def test_what_lost_a_host_stays_in_the_record_until_the_host_is_back(world: World) -> None:
    lose(world, ssh="fails")
    world.clock.advance(1e6)
    now = world.clock.now()
    world.services.tables.restart_history.prune(before=now, keep=0, counted_since=now)
    assert len(world.history()) == 1
    world.restart_agent(world.node)
    assert looked_at(world) == "connected"
    world.services.tables.restart_history.prune(before=now, keep=0, counted_since=now)
    assert world.history() == []


@pytest.mark.parametrize(
    ("at", "state"),
    [("drain", "connected"), ("command", "disconnected"), ("later", "disconnected")],
)
def test_a_host_that_leaves_the_inventory_is_undrained_all_the_same(
    world: World, at: str, state: str
) -> None:
    """Seen: the inventory had no host to undrain, so nobody did."""
    node = world.node

    def leave() -> None:
        world.unlisted.add("node-1")

    controllers: Any = world.services.outside.controllers
    ssh: Any = world.services.outside.ssh
    drain, run = controllers.drain, ssh.run

    def drain_then_leave(*args: Any) -> None:
        drain(*args)
        leave()

    def run_then_leave(*args: Any, **named: Any) -> Any:
        result = run(*args, **named)
        leave()
        return result

    if at == "drain":
        controllers.drain = drain_then_leave
    elif at == "command":
        ssh.run = run_then_leave
    node.resident_bytes = LARGE
    node.becomes_ready = at != "later"
    world.alert()
    world.run()
    if at == "later":
        assert node.drained
        leave()
    world.clock.advance(1000)
    world.recovery.look()
    assert (node.drained, world.state()) == (False, state)
    asked = len(world.boundaries)
    looked_at(world)
    assert len(world.boundaries) == asked, "nothing is owed any more"
    world.unlisted.clear()
    node.ready = True
    assert looked_at(world) == "connected"


def test_a_lost_host_stays_drained_and_its_pings_are_not_muted(world: World) -> None:
    lose(world, reconnects=False)
    assert world.node.drained
    assert not world.muted()


@pytest.mark.one_python
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
    assert world.services.tables.restarts.open(request)[1]
    assert world.services.tables.hosts.hold("node-1", restart_id, AGENT, now)


def ended(world: World, restart_id: str) -> None:
    """Give a request its word and nothing back."""
    requests = world.services.tables.restarts
    assert requests.finish(restart_id, Outcome.BUSY, "it was busy", world.clock.now())


def test_an_ended_request_cannot_hold_a_host(world: World) -> None:
    """Seen: a replica that was frozen before it held the host held it after the restart's end."""
    held(world, "first")
    assert world.services.tables.hosts.release("node-1", "first", world.clock.now())
    ended(world, "first")
    assert not world.services.tables.hosts.hold("node-1", "first", AGENT, world.clock.now())
    assert world.state() == "connected"


def test_an_owed_undrain_does_not_undrain_a_restart_that_began_meanwhile(world: World) -> None:
    """Seen: the late undrain took the new restart's drain away, and its owed undrain with it."""
    hosts, now = world.services.tables.hosts, world.clock.now()
    held(world, "first")
    assert hosts.release("node-1", "first", now)
    ended(world, "first")
    controllers: Any = world.services.outside.controllers
    undrain_of = controllers.undrain

    def slow_undrain(*args: Any) -> None:
        held(world, "second")
        world.node.drained = True
        undrain_of(*args)

    controllers.undrain = slow_undrain
    assert undrain(world.services, "node-1", AGENT, "first")
    assert world.node.drained
    assert hosts.get("node-1").drained, "the second one's undrain is still owed"


def test_a_host_that_is_held_by_nobody_is_lost_and_then_found(world: World) -> None:
    held(world, "forgotten")
    ended(world, "forgotten")
    assert world.state() == "disconnected"
    world.recovery.look()
    assert world.state() == "connected"


def test_people_who_wait_for_controllers_do_not_take_every_thread_of_the_server(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memleash_responder.usecases.operator.RECONNECTS", 0)
    lose(world, ssh="fails")
    with pytest.raises(Conflict, match="waited for already"):
        acts_of(world).reconnect("node-1", "alice")
