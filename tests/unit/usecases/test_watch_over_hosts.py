"""What controllers call the fleet, and whose pings fail: asked for again and again, and stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from threading import Event

import pytest

from demo.stack.processes import wait_until
from memleash_responder.adapters.own_metrics import Part
from memleash_responder.core.facts import Host, Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.core.restarts import Restart
from memleash_responder.errors import DatabaseUnavailable, FactsUnavailable
from memleash_responder.usecases.host_states import known_hosts
from memleash_responder.usecases.host_watch import (
    STORE_SECONDS,
    WATCH_SECONDS,
    ControllerWatch,
    watch_pings,
)
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import FakeControllers
from tests.unit.usecases.world import AGENT, Inline, World

MAINTENANCE, DISCONNECTED, CONNECTED = (
    HostState.MAINTENANCE,
    HostState.DISCONNECTED,
    HostState.CONNECTED,
)
SILENT = Unknown("no answer")
Word = HostState | Unknown | None
Ask = Callable[[Host], Word]


@pytest.fixture
def fleet(make_world: MakeWorld) -> World:
    """Nine hosts."""
    return make_world(hosts=9)


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def ask_each(monkeypatch: pytest.MonkeyPatch, **controllers: Ask) -> None:
    """Let there be these controllers, each by its name."""
    monkeypatch.setattr(FakeControllers, "states_by_controller", controllers)


def watch(world: World, workers: Executor | None = None) -> ControllerWatch:
    return ControllerWatch(world.services, workers or Inline())


def states(world: World) -> dict[str, str]:
    """Return the hosts that are not connected, and what they are."""
    known = known_hosts(world.services)
    found = {host: known.standing(host) for host in world.nodes}
    odd = {host: one for host, one in found.items() if one.state is not CONNECTED}
    assert known.out_of_service() == odd
    return {host: str(one.state) for host, one in odd.items()}


def test_a_controller_that_hangs_holds_up_no_other(
    fleet: World, threads: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: nothing that any controller said was stored until the slowest had told of all."""
    let_go = Event()

    def hangs(_: Host) -> Word:
        let_go.wait(300)
        return DISCONNECTED

    ask_each(monkeypatch, hangs=hangs, well=lambda host: fleet.nodes[host.name].state)
    rounds = watch(fleet, threads)
    try:
        fleet.node.state = MAINTENANCE
        rounds.look()
        wait_until("the word", lambda: states(fleet) == {"node-1": "maintenance"})
        fleet.node.state = CONNECTED

        def looked_again() -> bool:
            fleet.clock.advance(1)
            rounds.look()
            return states(fleet) == {}

        wait_until("the next round of the one that answers", looked_again)
    finally:
        let_go.set()
    wait_until("the other's words", lambda: set(states(fleet)) == fleet.nodes.keys())


def test_a_controller_rests_between_its_rounds(
    fleet: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask_each(monkeypatch, mn=lambda host: asked.append(host.name))
    rounds = watch(fleet)
    rounds.look()
    fleet.clock.advance(WATCH_SECONDS - 1)
    rounds.look()
    assert sorted(asked) == sorted(fleet.nodes)
    fleet.clock.advance(1)
    rounds.look()
    assert len(asked) == 2 * len(fleet.nodes)


def test_words_of_a_long_round_are_stored_on_the_way(
    fleet: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def slow(_: Host) -> Word:
        fleet.clock.advance(STORE_SECONDS)
        seen.append(len(states(fleet)))
        return DISCONNECTED

    ask_each(monkeypatch, mn=slow)
    watch(fleet).look()
    assert seen == list(range(9))


def test_hosts_that_a_controller_cannot_tell_of_hide_no_others(
    fleet: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def of_the_last_alone(host: Host) -> Word:
        asked.append(host.name)
        return DISCONNECTED if host.name == "node-9" else SILENT

    ask_each(monkeypatch, mn=of_the_last_alone)
    rounds = watch(fleet)
    rounds.look()
    assert asked == ["node-1", "node-2", "node-3"], "it cannot tell of three in a row"
    for _ in range(2):
        fleet.clock.advance(WATCH_SECONDS)
        rounds.look()
    assert states(fleet) == {"node-9": "disconnected"}


def test_a_word_holds_while_the_controller_cannot_tell_but_not_for_ever(world: World) -> None:
    world.node.state = MAINTENANCE
    rounds = watch(world)
    rounds.look()
    world.node.state = SILENT
    world.clock.advance(299)
    rounds.look()
    assert states(world) == {"node-1": "maintenance"}
    world.clock.advance(2)
    rounds.look()
    assert states(world) == {}


def test_a_slow_controller_is_believed_until_it_comes_round_again(
    fleet: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def slow(host: Host) -> Word:
        fleet.clock.advance(100)
        seen.append("node-1" in states(fleet))
        return DISCONNECTED if host.name == "node-1" else CONNECTED

    ask_each(monkeypatch, mn=slow)
    rounds = watch(fleet)
    for _ in range(3):
        rounds.look()
        fleet.clock.advance(WATCH_SECONDS)
    assert all(seen[10:]), "from when it is known how long a round takes"


def test_a_state_is_since_it_was_first_heard(world: World) -> None:
    world.node.state = DISCONNECTED
    rounds, began = watch(world), world.clock.now()
    for _ in range(5):
        rounds.look()
        world.clock.advance(WATCH_SECONDS)
    assert known_hosts(world.services).standing("node-1").since == began
    world.node.state, changed = MAINTENANCE, world.clock.now()
    rounds.look()
    assert known_hosts(world.services).standing("node-1").since == changed


def test_every_change_is_told_once_and_mutes_follow_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    rounds, told = watch(world), []
    for state in (CONNECTED, MAINTENANCE, MAINTENANCE, SILENT, None, CONNECTED):
        world.node.state = state
        caplog.clear()
        with caplog.at_level("INFO"):
            rounds.look()
        told.append(caplog.messages.count("what a controller calls a host"))
        assert world.services.mutes_changed.is_set() == bool(told[-1])
        world.services.mutes_changed.clear()
        world.clock.advance(WATCH_SECONDS)
    assert told == [0, 1, 0, 0, 1, 0]


def test_the_words_of_a_controller_that_is_not_configured_any_more_do_not_count(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.node.state = MAINTENANCE
    watch(world).look()
    assert states(world) == {"node-1": "maintenance"}
    ask_each(monkeypatch)
    assert states(world) == {}


def test_a_round_that_cannot_be_stored_is_counted_and_begun_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.node.state = MAINTENANCE
    rounds = watch(world)
    with monkeypatch.context() as broken:

        def no_disk(*_: object) -> None:
            raise DatabaseUnavailable("the disk is full")

        broken.setattr(type(world.services.tables.controller_states), "put", no_disk)
        rounds.look()
    failures = world.services.telemetry.failures.labels(Part.WATCH_HOSTS)
    assert failures._value.get() == 1
    world.clock.advance(WATCH_SECONDS)
    rounds.look()
    assert states(world) == {"node-1": "maintenance"}


def test_pings_are_known_though_a_controller_is_named_after_them(
    fleet: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: the alert about pings was stored as the word of a controller named ``:pings``."""
    ask_each(monkeypatch, **{":pings": lambda _: CONNECTED})
    fleet.node.ping_alert_fires, began = True, fleet.clock.now()
    watch_pings(fleet.services)
    fleet.clock.advance(WATCH_SECONDS)
    watch(fleet).look()
    watch_pings(fleet.services)
    assert states(fleet) == {"node-1": "disconnected"}
    standing = known_hosts(fleet.services).standing("node-1")
    assert (standing.reason, standing.since) == (
        "its pings fail: their alert fires, unmuted",
        began,
    )
    fleet.node.ping_alert_fires = False
    watch_pings(fleet.services)
    assert states(fleet) == {}


def test_pings_are_believed_for_five_minutes_while_prometheus_is_silent(world: World) -> None:
    world.node.ping_alert_fires = True
    watch_pings(world.services)
    world.prometheus_answers = False
    world.clock.advance(299)
    with pytest.raises(FactsUnavailable):
        watch_pings(world.services)
    assert states(world) == {"node-1": "disconnected"}
    world.clock.advance(2)
    assert states(world) == {}


def test_one_host_is_read_alone_as_it_is_among_all(fleet: World) -> None:
    hosts, now = fleet.services.tables.hosts, fleet.clock.now()
    requests = fleet.services.tables.restarts
    for host in ("node-4", "node-5"):
        requests.open(Restart(f"r-{host}", host, AGENT, now))
        assert hosts.hold(host, f"r-{host}", AGENT, now)
    assert hosts.release("node-5", "r-node-5", now)
    fleet.labels["node-6"] = {"maintenance": "true"}
    for number, state in enumerate((MAINTENANCE, DISCONNECTED), 1):
        fleet.nodes[f"node-{number}"].state = state
    fleet.nodes["node-3"].ping_alert_fires = True
    watch(fleet).look()
    watch_pings(fleet.services)
    known = known_hosts(fleet.services)
    for host in fleet.nodes:
        alone = known_hosts(fleet.services, host)
        assert list(alone.inventory) == [host]
        assert alone.facts(host) == known.facts(host)
