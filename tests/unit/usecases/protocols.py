"""What the use cases ask of what is outside: mypy holds the real one and the fake to the same.

A fake that no longer takes or returns what the adapter does is an error of the type checker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from memleash_responder.adapters.clock import Clock as RealClock
from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.adapters.dbos_engine import Durable
from memleash_responder.adapters.exporter import ExporterClient
from memleash_responder.adapters.inventory import Inventory as RealInventory
from memleash_responder.adapters.prometheus import PrometheusClient
from memleash_responder.adapters.ssh.client import CommandResult, SshClient
from memleash_responder.core.facts import AgentFacts, ControllerTasks, Host
from memleash_responder.core.moments import Stamp
from tests.unit.usecases.outside import (
    FakeClock,
    FakeControllers,
    FakeExporter,
    FakeInventory,
    FakePrometheus,
    FakeSsh,
)
from tests.unit.usecases.world import Ledger


class Clock(Protocol):
    """Wall clock and uptime."""

    def now(self) -> float: ...
    def stamp(self) -> Stamp: ...


class Inventory(Protocol):
    """The hosts there are."""

    def get(self, name: str) -> Host | None: ...
    def hosts(self) -> Mapping[str, Host]: ...


class Exporter(Protocol):
    """What a host says of its agents."""

    def facts(
        self, host: Host, agent: str, *, timeout_seconds: float | None = None
    ) -> AgentFacts: ...


class Prometheus(Protocol):
    """What is known of the whole fleet."""

    def hard_limit_bytes(self, host: str, agent: str, now: float) -> int: ...
    def firing(self, selectors: Sequence[str], now: float) -> tuple[str, ...]: ...
    def by_agent(self, expression: str, /) -> dict[tuple[str, str], float]: ...


class Controllers(Protocol):
    """Who gives hosts their tasks."""

    def drain(self, host: Host, agent: str, restart_id: str) -> None: ...
    def undrain(self, host: Host, agent: str, restart_id: str) -> None: ...
    def tasks(self, host: Host, agent: str) -> tuple[ControllerTasks, ...]: ...
    def reconnect(
        self, host: Host, agent: str, restart_id: str, *, timeout_seconds: float
    ) -> None: ...


class Ssh(Protocol):
    """The way to a host."""

    def run(
        self, host: Host, command: str, *, before_command: Callable[[], None]
    ) -> CommandResult: ...


class Engine(Protocol):
    """What runs workflows, and remembers how far they got."""

    def workflow(self, name: str, body: Callable[[str], None], /) -> None: ...
    def start(self, workflow: str, work_id: str, /) -> None: ...


CLOCKS: tuple[type[Clock], ...] = (RealClock, FakeClock)
INVENTORIES: tuple[type[Inventory], ...] = (RealInventory, FakeInventory)
EXPORTERS: tuple[type[Exporter], ...] = (ExporterClient, FakeExporter)
PROMETHEUSES: tuple[type[Prometheus], ...] = (PrometheusClient, FakePrometheus)
CONTROLLERS: tuple[type[Controllers], ...] = (ControllerClients, FakeControllers)
SSHS: tuple[type[Ssh], ...] = (SshClient, FakeSsh)
ENGINES: tuple[type[Engine], ...] = (Durable, Ledger)
