"""Many guarded restarts, with faults: what each costs, and what grows: `python -m bench.soak`.

Real agents on loopback leak past their limit, and a responder restarts them through a real sshd;
Prometheus, Alertmanager and the controllers are stand-ins. Each fault of peers, of the command and
of what all hosts share comes in 2 of 100 restarts. The responder is killed in the first
third alone, so that the process that is measured at the end has done two thirds of the work. First
on SQLite, then on PostgreSQL. After each third, at rest, is taken: the responder's memory, threads
and open files, and the size and rows of its database. The bars: neither memory, threads nor files
grow from the first third to the last, a restart leaves as many of the engine's rows as another, and
no agent was started more often than a restart was begun. Writes bench/soak.json.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import functools
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import psutil
import sqlalchemy as sa

from demo.stack.fake_peers import Reply
from demo.stack.http import CallFailed, post
from demo.stack.loopback_hosts import OVER_MIB, QUICK, Fleet, Member, Patience, running
from demo.stack.postgres import running_postgres
from demo.stack.processes import wait_until
from demo.stack.responder import Responder
from memleash_responder.adapters.database.engine import Database
from memleash_responder.core.outcomes import BEGUN, FAILED

_T = TypeVar("_T")

RESULT = Path(__file__).with_suffix(".json")
SHARE = 0.02
TELL_AGAIN_SECONDS = 3.0
MOST_GROWTH_MIB = 24
PATIENCE = Patience(peer=10, exporter=10, ssh=15, agent=20)
GUARDS = QUICK | {
    "cooldown": "0s",
    "max_restarts": 100_000,
    "shrinking_ratio": 0.01,
    "retry_after": "0s",
}
COMMAND = "if [ -e {folder}/fault ]; then . {folder}/fault; fi; {service} restart"

_BAD = Reply({"error": "not now"}, status=503)
_OF_PEERS: dict[str, tuple[str, list[Reply]]] = {
    "drain refused": ("drain", [_BAD]),
    "task runs": ("tasks", [Reply({"running": [{"id": "task-7", "name": "migrate"}]})]),
    "tasks cut off": ("tasks", [Reply(cut=True)]),
    "tasks are nonsense": ("tasks", [Reply(raw=b"<html>")]),
    "controller slow": ("tasks", [Reply({"running": [], "pending": []}, delay=2)]),
    "undrain refused once": ("undrain", [_BAD, Reply({})]),
    "reconnect refused": ("reconnect", [_BAD]),
    "Prometheus ill": ("limit", [_BAD]),
}
"""By name, the call to a peer and how it is answered until the restart has ended."""

_CUT = "kill -9 $PPID"
_OF_COMMANDS = {
    "command fails": "exit 7",
    "cut before it took effect": f"{_CUT}; exit 0",
    "cut after it took effect": f"{{service}} restart; {_CUT}; sleep 5; exit",
    "agent does not come back": "{service} stop; exit 0",
}


@dataclasses.dataclass(slots=True)
class _Awaited:
    """A look for the outcome of a newer request than ``before``; asks for one if there is none.

    An alert is told again only after a while: on a busy machine the responder would have more of
    them than it can look at, and answer each with what was true minutes ago.
    """

    responder: Responder
    host: str
    before: str | None
    told_at: float = float("-inf")

    def __call__(self) -> str | None:
        newest = self.responder.request(self.host)
        if newest is not None and newest["id"] != self.before:
            outcome: str | None = newest["outcome"]
            return outcome
        if time.monotonic() - self.told_at > TELL_AGAIN_SECONDS:
            self.told_at = time.monotonic()
            self.responder.alert(self.host)
        return None


@dataclasses.dataclass(slots=True)
class Soak:
    """A fleet and its responder under way."""

    fleet: Fleet
    responder: Responder
    database: Database
    chance: random.Random
    befall: Executor
    """One thread, which lives as long: a program ends with the thread that started it."""
    outcomes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    started_by_us: int = 0
    faults: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    cpu_seconds: float = 0.0
    """Of the responders that were killed."""
    kills: bool = True
    _all: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    _left: int = 0

    def restart(self, times: int) -> None:
        """Have agents leak and be restarted until it went well ``times`` times more."""
        self._left = times
        with ThreadPoolExecutor(len(self.fleet.members)) as pool:
            for done in [pool.submit(self._restart_one, host) for host in self.fleet.members]:
                done.result()

    def _restart_one(self, host: str) -> None:
        while self._left > 0:
            self._plan(host)
            grow = functools.partial(self.fleet.agent_does, host, "grow", to_mib=OVER_MIB)
            self._awaited(f"the agent of {host} to grow", grow)
            ended = self._awaited(
                f"a restart of {host} to end", _Awaited(self.responder, host, self._newest(host))
            )
            with self._all:
                self.outcomes[ended] += 1
                self._left -= ended == "restarted"
            self._mend(host, ended)

    def _newest(self, host: str) -> str | None:
        def look() -> tuple[str | None]:
            newest = self.responder.request(host)
            return (newest["id"] if newest else None,)

        return self._awaited("the responder", look)[0]

    def _plan(self, host: str) -> None:
        """Have at most one fault befall the next restart of ``host``, each in SHARE of them."""
        of_all = self._of_all()
        with self._all:
            names = (*of_all, *_OF_PEERS, *_OF_COMMANDS)
            name = next((one for one in names if self.chance.random() < SHARE), None)
        if name is None:
            return
        self.faults[name] += 1
        if name in _OF_PEERS:
            call, replies = _OF_PEERS[name]
            self.fleet.peers.faults[call, host] = list(replies)
        elif name in _OF_COMMANDS:
            fault = f"rm {{folder}}/fault; {_OF_COMMANDS[name]}\n"
            (self.fleet.service(host) / "fault").write_text(self.fleet.filled_in(fault, host))
        else:
            self.befall.submit(self._soon, of_all[name])

    def _soon(self, fault: Callable[[], None]) -> None:
        time.sleep(2 * self.chance.random())
        fault()

    def _of_all(self) -> dict[str, Callable[[], None]]:
        """Return the faults that befall every host at once."""
        exporters, sshd = self.fleet.exporters, self.fleet.sshd.program
        faults = {
            "exporter away": lambda: self._away(*exporters),
            "sshd away": lambda: self._away(sshd),
        }
        return {**faults, "responder killed": self._kill} if self.kills else faults

    def _away(self, *programs: Any) -> None:
        with self._all:
            for program in programs:
                program.stop()
            time.sleep(1)
            for program in programs:
                program.start(60)

    def _kill(self) -> None:
        with self._all:
            self.cpu_seconds += _cpu_seconds(self.responder.pid)
            self.responder.kill()
            self.responder.start()

    def _mend(self, host: str, ended: str) -> None:
        """End the fault, do what a person does after a failed restart, and wait until all is well.

        That is to restart the agent by hand and to have the host reconnected.
        """
        for call, _ in _OF_PEERS.values():
            self.fleet.peers.faults.pop((call, host), None)
        (self.fleet.service(host) / "fault").unlink(missing_ok=True)
        if ended in FAILED:
            self.fleet.serve(host, "restart")
            with self._all:
                self.started_by_us += 1
            self._awaited(f"{host} to be reconnected", lambda: self._reconnected(host))

        def in_service() -> bool:
            return (
                self.responder.state(host) == "connected"
                and not self.fleet.peers.silenced(host)
                and not self.fleet.peers.drained(host)
            )

        self._awaited(f"{host} to be in service", in_service)

    def _reconnected(self, host: str) -> bool:
        with contextlib.suppress(CallFailed):  # the agent is not ready yet
            post(f"{self.responder.url}/api/v1/hosts/{host}/reconnect")
        return self.responder.state(host) == "connected"

    def _awaited(self, what: str, look: Callable[[], _T | None]) -> _T:
        """Return the first result of ``look`` that is true; a responder may be killed meanwhile."""

        def patient_look() -> _T | None:
            try:
                return look()
            except (OSError, CallFailed):
                return None

        return wait_until(
            what,
            patient_look,
            timeout_seconds=300,
            every_seconds=0.3,
            seen=self.responder.program.log_end,
        )

    def at_rest(self) -> dict[str, Any]:
        """Return what the responder and its database hold, once it has nothing to do."""
        time.sleep(10)
        process = psutil.Process(self.responder.pid)
        with self.database.read() as connection:
            (workflows, steps, size) = (
                connection.execute(sa.text(statement)).scalar_one()
                for statement in _COUNTS[self.database.is_sqlite]
            )
        return {
            "restarted": self.outcomes["restarted"],
            "rss_mib": round(process.memory_info().rss / 1024**2, 1),
            "threads": process.num_threads(),
            "files": process.num_fds(),
            "database_mib": round(size / 1024**2, 2),
            "workflows": workflows,
            "workflow_steps": steps,
        }

    def extra_starts(self) -> int:
        """Return how many starts of agents no restart that was begun explains."""
        starts = sum(self.fleet.starts(host) - 1 for host in self.fleet.members)
        explained = sum(self.outcomes[outcome] for outcome in BEGUN)
        return max(0, starts - self.started_by_us - explained)


_COUNTS = {
    True: (
        "SELECT count(*) FROM workflow_status",
        "SELECT count(*) FROM operation_outputs",
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    ),
    False: (
        "SELECT count(*) FROM dbos.workflow_status",
        "SELECT count(*) FROM dbos.operation_outputs",
        "SELECT pg_database_size(current_database())",
    ),
}
"""By whether it is SQLite: the engine's workflows and steps, and the database's bytes."""


def main() -> int:
    """Soak both, write the figures, and say whether the bars hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--restarts", type=int, default=1000)
    parser.add_argument("--hosts", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    options = parser.parse_args()
    result: dict[str, Any] = {
        "command": f"python -m bench.soak --restarts {options.restarts}",
        "load_before": os.getloadavg()[0],
    }
    for name, opened in (("sqlite", _sqlite), ("postgresql", _postgresql)):
        if options.database in (name, "both"):
            with opened(options) as soak:
                result[name] = _soak(soak, options.restarts)
            print(name, json.dumps(result[name], indent=2))
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    holds = all(_holds(result[name]) for name in ("sqlite", "postgresql") if name in result)
    print(f"the bars: {'hold' if holds else 'MISSED'}")
    return 0 if holds else 1


def _soak(soak: Soak, restarts: int) -> dict[str, Any]:
    soak.fleet.start_agents(soak.fleet.members)
    soak.responder.start()
    began, rests, working_seconds = time.monotonic(), [], 0.0
    for third in range(3):
        soak.kills = third == 0
        began = time.monotonic()
        soak.restart(restarts // 3)
        working_seconds += time.monotonic() - began
        rests.append(soak.at_rest())
        print(json.dumps(rests[-1]), flush=True)
    cpu_seconds = soak.cpu_seconds + _cpu_seconds(soak.responder.pid)
    return {
        "rests": rests,
        "outcomes": dict(soak.outcomes),
        "faults": dict(soak.faults),
        "restarts_an_hour": round(soak.outcomes["restarted"] / working_seconds * 3600),
        "cpu_seconds_a_restart": round(cpu_seconds / soak.outcomes["restarted"], 3),
        "extra_starts": soak.extra_starts(),
    }


def _holds(row: dict[str, Any]) -> bool:
    first, middle, last = row["rests"]

    def workflows_a_restart(since: dict[str, Any], until: dict[str, Any]) -> float:
        restarts = until["restarted"] - since["restarted"]
        return float((until["workflows"] - since["workflows"]) / restarts)

    return bool(
        last["rss_mib"] - first["rss_mib"] < MOST_GROWTH_MIB
        and last["threads"] <= first["threads"] + 2
        and last["files"] <= first["files"] + 8
        and workflows_a_restart(middle, last) < 1.5 * workflows_a_restart(first, middle)
        and row["extra_starts"] == 0
    )


@contextlib.contextmanager
def _sqlite(options: argparse.Namespace) -> Iterator[Soak]:
    with tempfile.TemporaryDirectory(prefix="memleash-bench-") as folder:
        file = Path(folder) / "soak.db"
        with _soaking(Path(folder), f"sqlite:///{file}", options) as soak:
            yield soak


@contextlib.contextmanager
def _postgresql(options: argparse.Namespace) -> Iterator[Soak]:
    with (
        tempfile.TemporaryDirectory(prefix="memleash-bench-") as folder,
        running_postgres() as postgres,
        _soaking(Path(folder), postgres.url, options) as soak,
    ):
        yield soak


@contextlib.contextmanager
def _soaking(folder: Path, url: str, options: argparse.Namespace) -> Iterator[Soak]:
    names = [f"node-{number}" for number in range(options.hosts)]
    members = [Member(name, COMMAND, settings={"guards": GUARDS}) for name in names]
    fleet_limits = {
        "storm_fraction": 1,
        "max_concurrent_restarts": options.hosts,
        "max_restarts_per_hour": 1_000_000,
    }
    with (
        running(folder / "fleet", members, patience=PATIENCE) as fleet,
        fleet.responder("soak", log_level="info", database=url, fleet=fleet_limits) as one,
        ThreadPoolExecutor(1) as befall,
    ):
        yield Soak(fleet, one, Database(url), random.Random(options.seed), befall)


def _cpu_seconds(pid: int) -> float:
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system


if __name__ == "__main__":
    sys.exit(main())
