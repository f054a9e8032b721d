"""What replicas read, decide and write at the same time, they do one after the other."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from memleash_responder.adapters.clock import Clock
from memleash_responder.adapters.database.cluster import Replicas
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.host_conditions import (
    ControllerStates,
    FailingPings,
    Maintenances,
)
from memleash_responder.adapters.database.hosts import Hosts
from memleash_responder.adapters.database.migrations import upgrade
from memleash_responder.adapters.database.mutes import Mutes
from memleash_responder.adapters.database.pauses import Pauses
from memleash_responder.adapters.database.restarts import Restarts
from memleash_responder.adapters.database.sent_commands import SentCommands
from memleash_responder.core.facts import Unknown
from memleash_responder.core.host_states import ControllerState, HostState
from memleash_responder.core.maintenance import Maintenance
from memleash_responder.core.moments import Stamp
from memleash_responder.core.mutes import Claim
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.pauses import Pause
from memleash_responder.core.restarts import Restart, SentCommand
from memleash_responder.errors import Overtaken

pytestmark = pytest.mark.integration

T = TypeVar("T")

AT_ONCE, BUDGET, EACH = 8, 3, 25
SENDING = {"life": 1.0, "counted_seconds": 3600.0}


@pytest.fixture
def databases(database_url: str) -> Iterator[list[Database]]:
    """One database, as each of the replicas has it."""
    opened = [Database(database_url) for _ in range(AT_ONCE)]
    upgrade(opened[0])
    yield opened
    for database in opened:
        database.close()


def at_once(act: Callable[[int], T]) -> list[T]:
    """Have every replica, by its number, do the same at the same moment."""
    together = threading.Barrier(AT_ONCE)

    def one(number: int) -> T:
        together.wait(60)
        return act(number)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


def test_no_more_commands_are_noted_as_sent_than_the_budget_has_left(
    databases: list[Database],
) -> None:
    clock = Clock()

    def refuse(sent: Sequence[SentCommand], now: Stamp) -> Refusal | None:
        return Refusal(Outcome.RESTART_BUDGET, "used up") if len(sent) >= BUDGET else None

    def restart(number: int) -> Stamp | Refusal:
        database = databases[number]
        name = f"restart-{number}"
        new = Restart(name, f"host-{number}", "a", clock.now(), "test", False, "restart")
        Restarts(database).open(new)
        return SentCommands(database).note_sent(new, clock.stamp, refuse, **SENDING)

    answers = at_once(restart)
    assert sum(isinstance(one, Stamp) for one in answers) == BUDGET
    assert len(SentCommands(databases[0]).sent(3600, clock.stamp())) == BUDGET


def test_no_change_of_a_claim_is_written_over_unseen(databases: list[Database]) -> None:
    def one_second_longer(claim: Claim | None) -> Claim | None:
        if claim is None:
            return Claim("busy:a", 0.0, 1, "a is busy")
        return dataclasses.replace(claim, until=claim.until + 1)

    def replica(number: int) -> None:
        for _ in range(EACH):
            Mutes(databases[number]).change("host-1", "busy:a", one_second_longer)

    at_once(replica)
    (claim,) = Mutes(databases[0]).of_host("host-1")
    assert claim.until == AT_ONCE * EACH, "every change saw the one before it"


def test_one_request_notes_one_command_however_many_work_on_it(databases: list[Database]) -> None:
    clock, first = Clock(), Restarts(databases[0])
    first.open(Restart("restart", "host-1", "a", clock.now(), "test", False, "restart"))
    seen = first.get("restart")
    assert seen is not None

    def note_sent(number: int) -> str:
        try:
            SentCommands(databases[number]).note_sent(seen, clock.stamp, lambda *_: None, **SENDING)
        except Overtaken:
            return "overtaken"
        return "sent"

    assert sorted(map(str, at_once(note_sent))) == ["overtaken"] * (AT_ONCE - 1) + ["sent"]


def test_one_replica_that_lives_has_a_lost_host_taken_back(databases: list[Database]) -> None:
    clock, requests, hosts = Clock(), Restarts(databases[0]), Hosts(databases[0])
    requests.open(Restart("lost", "host-1", "a", clock.now(), "test", False, "ready"))
    assert hosts.hold("host-1", "lost", "a", clock.now())
    requests.finish("lost", Outcome.NOT_READY, "it did not come", clock.now())
    for number in range(AT_ONCE):
        Replicas(databases[0]).beat(f"replica-{number}", "1")

    def begin(number: int) -> bool:
        return Hosts(databases[number]).begin_attempt("host-1", f"replica-{number}", "ann")

    begun = at_once(begin)
    assert sorted(map(str, begun)) == ["False"] * (AT_ONCE - 1) + ["True"]
    first = begun.index(True)
    assert not begin(first)
    Replicas(databases[0]).forget([f"replica-{first}"])
    assert sum(map(bool, at_once(begin))) == 1, "what is dead asks nobody any more"
    hosts.end_attempt("host-1")
    assert begin(first)


def test_a_request_that_has_its_word_notes_no_command(databases: list[Database]) -> None:
    clock, requests = Clock(), Restarts(databases[0])
    requests.open(Restart("restart", "host-1", "a", clock.now(), "test", False, "restart"))
    seen = requests.get("restart")
    assert seen is not None
    requests.finish("restart", Outcome.COMMAND_FAILED, "ended by another", clock.now())
    commands = SentCommands(databases[0])
    with pytest.raises(Overtaken):
        commands.note_sent(seen, clock.stamp, lambda *_: None, **SENDING)
    assert commands.sent(3600, clock.stamp()) == []


def test_each_replica_resumes_one_pause_and_the_others_hold(databases: list[Database]) -> None:
    def pause(number: int) -> None:
        mine = Pause(f"pause-{number}", "ann", "", float(number), None)
        Pauses(databases[number]).put(mine)
        Pauses(databases[number]).put(dataclasses.replace(mine, name="shared", until=9.0))

    def names() -> set[str]:
        return {one.name for one in Pauses(databases[-1]).all()}

    at_once(pause)
    assert names() == {"shared", *(f"pause-{number}" for number in range(AT_ONCE))}
    ended = at_once(lambda number: Pauses(databases[number]).end(f"pause-{number % 2}"))
    assert ended.count(True) == 2, "each is ended once"
    assert names() == {"shared", *(f"pause-{number}" for number in range(2, AT_ONCE))}


def test_a_pause_that_was_renewed_is_not_forgotten(databases: list[Database]) -> None:
    over = Pause("rack-7", "ann", "it moves", 1.0, 2.0)
    first, second = Pauses(databases[0]), Pauses(databases[1])
    first.put(over)
    renewed = dataclasses.replace(over, by="bob", until=3.0)
    second.put(renewed)
    assert not first.forget(over)
    assert first.all() == [renewed]
    assert first.forget(renewed)
    assert second.all() == []


def test_a_maintenance_that_was_renewed_is_not_forgotten(databases: list[Database]) -> None:
    over = Maintenance("ann", "new disks", 1.0, 2.0)
    first, second = Maintenances(databases[0]), Maintenances(databases[1])
    first.begin("host-1", over)
    renewed = dataclasses.replace(over, by="bob", until=3.0)
    second.begin("host-1", renewed)
    assert not first.forget("host-1", over)
    assert first.all() == {"host-1": renewed}
    ended = at_once(lambda number: Maintenances(databases[number]).forget("host-1", renewed))
    assert ended.count(True) == 1, "one replica tells of its end"


def test_what_is_heard_of_hosts_at_the_same_moment_is_stored_once(
    databases: list[Database],
) -> None:
    hosts = [f"host-{number}" for number in range(EACH)]

    def hear(number: int) -> tuple[int, int]:
        words = dict.fromkeys(hosts, HostState.MAINTENANCE)
        changes = ControllerStates(databases[number]).put("mn-1", words, 1.0, 100.0)
        return len(changes), len(FailingPings(databases[number]).put(hosts, 1.0))

    of_states, of_pings = zip(*at_once(hear), strict=True)
    assert sorted(of_states) == sorted(of_pings) == [*[0] * (AT_ONCE - 1), EACH]
    words = ControllerStates(databases[0])
    said: dict[str, HostState | Unknown | None] = {
        "host-0": HostState.DISCONNECTED,
        "host-1": Unknown("no answer"),
        "host-2": None,
    }
    assert words.put("mn-1", said, 50.0, 150.0) == {
        "host-0": HostState.DISCONNECTED,
        "host-2": None,
    }
    believed = words.believed(60.0, {"mn-1"})
    assert believed.keys() == {*hosts} - {"host-2"}
    assert believed["host-0"] == (ControllerState("mn-1", HostState.DISCONNECTED, 50.0),)
    assert believed["host-1"] == (ControllerState("mn-1", HostState.MAINTENANCE, 1.0),)
    assert words.believed(120.0, {"mn-1"}).keys() == {"host-0"}
    assert FailingPings(databases[1]).believed(60.0, "host-7") == {"host-7": 1.0}
