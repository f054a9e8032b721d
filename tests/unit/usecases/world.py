"""A small world for the use cases: the real ones, on a real database, with a clock of its own.

What is outside of it is faked (see outside.py); the engine keeps the results of finished steps,
as DBOS does. At every boundary where a process can die (around each write to the database, each
effect outside and each record of a step) the world can kill it, and start it again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, cast

import sqlalchemy as sa
from sqlalchemy import event

from memleash_responder import settings
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.migrations import upgrade
from memleash_responder.adapters.own_metrics import Telemetry
from memleash_responder.core.policy import Fleet, Guards, Mode
from memleash_responder.core.restarts import WAITING, Restart
from memleash_responder.usecases.host_recovery import Recovery
from memleash_responder.usecases.intake import Intake
from memleash_responder.usecases.muting import Muting
from memleash_responder.usecases.restart_requests import RestartRequests
from memleash_responder.usecases.restart_workflow import RestartWorkflow
from memleash_responder.usecases.services import Outside, Services, Tables
from tests.unit.usecases.outside import (
    LARGE,
    FakeClock,
    FakeControllers,
    FakeExporter,
    FakeInventory,
    FakePrometheus,
    FakeSsh,
    Node,
)

AGENT, SECOND_AGENT = "kvmagent", "netagent"
KEEPER_SECONDS = 1.0
"""How often the keeper looks whether what waits is due."""


class Killed(BaseException):
    """The process is gone."""


class Ledger:
    """The engine: finished steps are recorded, and a workflow goes on after the last of them."""

    executor_id = "local"

    def __init__(self, boundary: Callable[[str], None]) -> None:
        self._boundary = boundary
        self._bodies: dict[str, Callable[[str], None]] = {}
        self._records: dict[str, list[str]] = {}
        self._replayed: dict[str, int] = {}
        self._current = ""
        self._under_way: set[str] = set()
        self.pending: list[str] = []
        self.newest_first = False

    def workflow(self, name: str, body: Callable[[str], None]) -> None:
        self._bodies[name] = body

    def start(self, workflow: str, work_id: str) -> None:
        self._boundary("before start")
        if work_id not in self._records:
            self._records[work_id] = []
            self.pending.append(work_id)
        self._boundary("after start")

    def run_pending(self) -> None:
        """Run every workflow that is not finished, as a process does that has just started."""
        self._under_way.clear()
        while self.pending:
            self.run_one(self.pending[-1 if self.newest_first else 0])

    def run_another(self) -> None:
        """Run a workflow that is not the one in the middle of which this is, if there is one."""
        for work_id in [one for one in self.pending if one not in self._under_way][:1]:
            self.run_one(work_id)

    def run_one(self, work_id: str) -> None:
        """Run a workflow from its last finished step; another may be in the middle of its own."""
        interrupted, self._current = self._current, work_id
        self._replayed[work_id] = 0
        self._under_way.add(work_id)
        self._bodies["restart"](work_id)
        self._under_way.discard(work_id)
        self.pending.remove(work_id)
        self._current = interrupted

    def run_step(self, name: str, effect: Callable[..., Any], *args: object) -> Any:
        records = self._records[self._current]
        at = self._replayed[self._current]
        self._replayed[self._current] += 1
        if at < len(records):
            return json.loads(records[at])
        result = json.dumps(effect(*args), default=str)
        self._boundary(f"before the record of {name}")
        records.append(result)
        self._boundary(f"after the record of {name}")
        return json.loads(result)


class Inline(Executor):
    """Runs what it is given, there and then."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class KillableDatabase(Database):
    """The real database, with a boundary around every transaction.

    A statement is compiled once for all of them, not once for each: these tests make hundreds.
    """

    boundary: Callable[[str], None] = staticmethod(lambda _: None)
    _compiled: ClassVar[dict[Any, Any]] = {}
    _dialect: ClassVar[sa.Dialect | None] = None

    def _engine(self, pool_size: int, connect_args: Mapping[str, object]) -> sa.Engine:
        made = super()._engine(pool_size, connect_args)
        KillableDatabase._dialect = KillableDatabase._dialect or made.dialect
        options = {"compiled_cache": self._compiled}
        return sa.Engine(made.pool, KillableDatabase._dialect, self.url, execution_options=options)

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        self.boundary("before a write")
        with super().write() as connection:
            yield connection
        self.boundary("after a write")


class WorldServices(Services):
    """Services whose waiting moves the world's clock."""

    def sleep(self, seconds: float) -> None:
        cast(FakeClock, self.clock).advance(seconds)


class World:
    """Some hosts, one controller, one responder. Each node is an agent on a host of its own.

    In a ``shared`` world the nodes are two agents on one host, node-1. Whatever takes the name of
    a node is about its agent and its host.
    """

    def __init__(
        self,
        folder: Path,
        *,
        hosts: int = 1,
        guards: Guards | None = None,
        fleet: Fleet | None = None,
        agent: Mapping[str, Any] | None = None,
        shared: bool = False,
    ) -> None:
        self.shared = shared
        hosts = 2 if shared else hosts
        self.clock = FakeClock()
        self.clock.on_advance.append(self._let_time_pass)
        self.nodes = {f"node-{number}": Node(f"node-{number}") for number in range(1, hosts + 1)}
        self.unlisted: set[str] = set()
        self.labels: dict[str, dict[str, str]] = {}
        """By host, the labels of the inventory beside its name."""
        self.prometheus_answers = True
        self.firing: tuple[str, ...] = ()
        """The alerts that fire of those that hold restarts back."""
        self.reconnects: list[str] = []
        self.last_alert: dict[str, Any] = {}
        self.boundaries: list[str] = []
        self.kill_at: int | None = None
        self.interrupt_at: int | None = None
        self.at_boundary: dict[str, Callable[[], None]] = {}
        """What happens the next time that a boundary of this name is passed."""
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._file = folder / "world.db"
        self._file.write_bytes(_new_database())
        self.engine = Ledger(self.boundary)
        self.settings = settings.Settings(
            inventory=settings.InventorySettings(()),
            agents={
                name: settings.Agent(
                    restart_command=name,
                    **{"mode": Mode.ENFORCE, "guards": guards or Guards(), **(agent or {})},
                )
                for name in ([AGENT, SECOND_AGENT] if shared else [AGENT])
            },
            fleet=fleet or Fleet(storm_fraction=1.0),
        )
        self.start()

    @property
    def node(self) -> Node:
        """The first host."""
        return self.nodes["node-1"]

    def place(self, name: str) -> tuple[str, str]:
        """Return the host and the agent of a node."""
        return ("node-1", SECOND_AGENT) if self.shared and name != "node-1" else (name, AGENT)

    def node_of(self, host: str, agent: str) -> Node:
        """Return the node that is ``agent`` on ``host``."""
        return self.nodes["node-2" if agent == SECOND_AGENT else host]

    # -- the process --------------------------------------------------------------------------

    def start(self) -> None:
        """Start the responder's process (again): what was only in memory is gone."""
        before: Services | None = getattr(self, "services", None)
        if before is not None:
            before.tables.database.close()
        database = KillableDatabase(f"sqlite:///{self._file}")
        event.listen(database.engine, "connect", _no_sync)
        database.boundary = self.boundary
        outside: Any = Outside.__new__(Outside)
        for name, part in {
            "settings": self.settings,
            "inventory": FakeInventory(
                {self.place(name)[0] for name in self.nodes}, self.unlisted, labels=self.labels
            ),
            "exporter": FakeExporter(self),
            "prometheus": FakePrometheus(self),
            "alertmanager": None,
            "controllers": FakeControllers(self),
            "ssh": FakeSsh(self),
        }.items():
            object.__setattr__(outside, name, part)
        self.services = WorldServices(
            outside=outside,
            tables=Tables.on(database, max_backlog=1000),
            telemetry=Telemetry(),
            clock=cast(Any, self.clock),
            executor_id="local",
        )
        workflow = RestartWorkflow(self.services, cast(Any, self.engine), Inline())
        self.requests = RestartRequests(self.services, workflow, Inline())
        muting = Muting(self.services, Inline(), Inline())
        self.services.tables.hosts.forget_attempts(self.services.executor_id)
        self.recovery = Recovery(self.services, Inline())
        self.intake = Intake(
            self.services, self.requests, muting, diagnosis=cast(Any, None), workers=Inline()
        )

    def boundary(self, name: str) -> None:
        """A place where the process can die."""
        self.boundaries.append(name)
        if self.kill_at is not None and len(self.boundaries) > self.kill_at:
            self.kill_at = None
            raise Killed(name)
        if self.interrupt_at is not None and len(self.boundaries) > self.interrupt_at:
            self.interrupt_at = None
            self.engine.run_another()
        act = self.at_boundary.pop(name, None)
        if act is not None:
            act()

    def run(self) -> None:
        """Let the process do all it has to; killed on the way, it is started and goes on."""
        while True:
            try:
                self._work()
            except Killed:
                self.start()
            else:
                self.kill_at = self.interrupt_at = None
                return

    def _work(self) -> None:
        for notification in self.services.tables.inbox.waiting(before=float("inf")):
            self.intake.handle(notification)
        self.requests.resume_open(before=float("inf"))
        self.engine.run_pending()
        self._wait()
        self.recovery.look()

    def _wait(self) -> None:
        """Let time pass, as the keeper does, until no request waits any more."""
        restarts = self.services.tables.restarts
        while True:
            self.requests.look_at_waiting()
            self.engine.run_pending()
            waiting = [one for one in restarts.all_open() if one.step == WAITING]
            if not waiting:
                return
            for one in waiting:
                self.check_while_waiting(one)
            self.clock.advance(KEEPER_SECONDS)

    # -- what happens -------------------------------------------------------------------------

    def alert(self, name: str = "node-1", *, firing: bool = True, age: float = 60.0) -> None:
        """Tell of an alert that began ``age`` seconds ago; ``tell(last_alert)`` tells it again."""
        self.last_alert = self._payload(name, firing=firing, at=self.clock.now() - age)
        self.tell(self.last_alert)

    def tell(self, payload: Mapping[str, Any]) -> None:
        """Deliver a notification; killed while it is stored, Alertmanager delivers it again."""
        while True:
            try:
                self.services.tables.inbox.put(
                    json.dumps(payload).encode(), self.services.clock.now()
                )
            except Killed:
                self.start()
            else:
                return

    def _payload(self, name: str, *, firing: bool, at: float) -> dict[str, Any]:
        host, agent = self.place(name)
        alert = {
            "status": "firing" if firing else "resolved",
            "labels": {
                "alertname": "AgentMemoryHardLimitExceeded",
                "host": host,
                "agent": agent,
                "remediation": "restart",
            },
            "startsAt": datetime.fromtimestamp(at, UTC).isoformat(),
            "fingerprint": f"of-{name}",
        }
        return {"version": "4", "receiver": "responder", "alerts": [alert]}

    def restart_agent(self, node: Node) -> None:
        """What the command does to the host."""
        node.starts.append(self.clock.uptime_seconds)
        self.begin_life(node)

    def begin_life(self, node: Node) -> None:
        """Put a new process in the place of a node's agent."""
        node.life = self.clock.now()
        node.resident_bytes = node.fresh_bytes
        node.limited_bytes = node.fresh_limited_bytes
        node.up = node.comes_up
        node.several = node.leaves_several
        node.ready = node.comes_up and node.becomes_ready

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something when the clock is there."""
        self._later.append((self.clock.uptime_seconds + seconds, act))

    def _let_time_pass(self) -> None:
        """Do what is due, one by one: killed in the middle of one, the rest is still to come."""
        for one in [one for one in self._later if one[0] <= self.clock.uptime_seconds]:
            if one in self._later:  # what is done may let time pass, too
                self._later.remove(one)
                one[1]()

    def open_in(self, *windows: str) -> None:
        """Have restarts begin in these ``windows`` of the fleet alone, as a reload does."""
        fleet = dataclasses.replace(self.settings.fleet, windows=windows)
        self.settings = dataclasses.replace(self.settings, fleet=fleet)
        object.__setattr__(self.services.outside, "settings", self.settings)

    def check_before_command(self, node: Node) -> None:
        """Note what should never be so when the command is sent; for tests to replace."""

    def check_before_reconnect(self, node: Node) -> None:
        """Note what should never be so when a reconnect is asked for; for tests to replace."""

    def check_while_waiting(self, restart: Restart) -> None:
        """Note what should never be so while a request waits; for tests to replace."""

    # -- what is seen -------------------------------------------------------------------------

    def history(self, name: str = "node-1") -> list[Restart]:
        """Return a node's requests in the order in which they were made, whatever the clock."""
        with self.services.tables.database.read() as connection:
            ids = connection.scalars(sa.text("SELECT id FROM memleash_restarts ORDER BY rowid"))
            order = {restart_id: number for number, restart_id in enumerate(ids)}
        host, agent = self.place(name)
        found = self.services.tables.restart_history.page(host=host, agent=agent, limit=1000)
        return sorted(found, key=lambda one: order[one.id])

    def outcomes(self, name: str = "node-1") -> list[str]:
        """Return the words of a node's requests, oldest first; ``open`` without one."""
        return [str(one.outcome or "open") for one in self.history(name)]

    def state(self, name: str = "node-1") -> str:
        return str(self.services.tables.hosts.get(self.place(name)[0]).state)

    def muted(self, name: str = "node-1") -> bool:
        now = self.clock.now()
        claims = self.services.tables.mutes.of_host(self.place(name)[0])
        return any(one.in_force(now) for one in claims)


@functools.cache
def _new_database() -> bytes:
    """Return the file that a responder's first start makes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "new.db"
        database = Database(f"sqlite:///{file}")
        upgrade(database)
        database.close()
        return file.read_bytes()


def leak_and_fire(world: World, **node: Any) -> None:
    """Have node-1 pass its limit, changed by ``node``, and its alert told."""
    world.node.resident_bytes = LARGE
    for name, value in node.items():
        setattr(world.node, name, value)
    world.alert()


def resolved(world: World) -> dict[str, Any]:
    """Return the notification that the last alert has resolved."""
    (alert,) = world.last_alert["alerts"]
    return {**world.last_alert, "alerts": [{**alert, "status": "resolved"}]}


def _no_sync(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")
