"""What is outside of the use cases' world: hosts, and small fakes that all look at them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from memleash_responder.adapters.ssh.client import CommandResult
from memleash_responder.core.facts import AgentFacts, ControllerTasks, Host, Task, Unknown
from memleash_responder.core.host_states import ControllerState, HostState
from memleash_responder.core.moments import Stamp
from memleash_responder.core.policy import GIB
from memleash_responder.errors import (
    CommandLost,
    ControllerError,
    FactsUnavailable,
    ReconnectFailed,
    SshError,
)

if TYPE_CHECKING:
    from tests.unit.usecases.world import World

LIMIT = 10 * GIB
SMALL, LARGE = 1 * GIB, 11 * GIB
RECONNECT_SECONDS = 2.0
"""How long one takes that restarts the agent: lives less than a second apart count as one."""
BEGINNING = 1_800_000_000.0


class FakeClock:
    """A wall clock that can be set, and an uptime that cannot."""

    def __init__(self) -> None:
        self.uptime_seconds = 1000.0
        self.wall_offset = BEGINNING
        self.on_advance: list[Callable[[], None]] = []

    def now(self) -> float:
        return self.wall_offset + self.uptime_seconds

    def stamp(self) -> Stamp:
        return Stamp(self.now(), "boot-1", self.uptime_seconds)

    def advance(self, seconds: float) -> None:
        self.uptime_seconds += seconds
        for look in list(self.on_advance):
            look()


@dataclasses.dataclass
class Node:
    """A host as it really is."""

    name: str
    life: float = BEGINNING - 86_400
    resident_bytes: int = SMALL
    limited_bytes: int | Unknown | None = None
    """What the limits are held against; None: the resident memory."""
    up: bool = True
    ready: bool = True
    busy: bool | Unknown = False
    busy_once_drained: float = 0.0
    """For how many seconds it is busy from the next drain on."""
    several: bool = False
    """More than one process may be the agent: the exporter says nothing of them."""
    leaves_several: bool = False
    """The command starts a new process, and leaves another."""
    exporter_answers: bool = True
    exporter_takes_seconds: float = 0.0
    """How long it takes to answer; who asks has not so much patience, and goes without."""
    asked_at: list[float] = dataclasses.field(default_factory=list)
    """Uptime at each look at its exporter."""
    fresh_bytes: int = SMALL
    """What a new life holds."""
    fresh_limited_bytes: int | Unknown | None = None
    comes_up: bool = True
    becomes_ready: bool = True
    ping_alert_fires: bool = False
    state: HostState | Unknown | None = None
    """What its controller calls it."""
    running: list[str] = dataclasses.field(default_factory=list)
    drained: bool = False
    controller_answers: bool = True
    second_controller_dead: bool = False
    """It was told to drain the host, answers nothing, and takes no undrain until it is back."""
    reconnects: bool = True
    reconnect_restarts: bool = False
    """Whether a reconnect restarts the agent, whatever comes of it."""
    ssh: str = "good"
    """What becomes of a session: good, refused, lost_just_before the command is sent; lost_before
    it has its effect, lost_after that, lost_late (the effect comes 20 s later); it fails, or it
    returns 0 and has_none."""
    starts: list[float] = dataclasses.field(default_factory=list)
    """Uptime at each start that a command brought about: the service's own log."""
    commands: list[float] = dataclasses.field(default_factory=list)
    """Uptime at each command that was sent."""

    @property
    def limited(self) -> int | Unknown:
        """What the limits are held against."""
        return self.resident_bytes if self.limited_bytes is None else self.limited_bytes


class FakeExporter:
    def __init__(self, world: World) -> None:
        self._world = world

    def scrape(self, host: Host, *, timeout_seconds: float | None = None) -> dict[str, AgentFacts]:
        world, node = self._world, self._world.nodes[host.name]
        node.asked_at.append(world.clock.uptime_seconds)
        patience = world.settings.exporter.timeout if timeout_seconds is None else timeout_seconds
        world.clock.advance(min(node.exporter_takes_seconds, patience))
        if node.exporter_takes_seconds > patience:
            raise FactsUnavailable(f"exporter of {host.name}: no whole answer within {patience} s")
        return {agent: self.facts(host, agent) for agent in world.settings.agents}

    def facts(self, host: Host, agent: str, *, timeout_seconds: float | None = None) -> AgentFacts:
        node = self._world.node_of(host.name, agent)
        if not node.exporter_answers:
            raise FactsUnavailable(f"exporter of {host.name}: refused")
        if node.several:
            return AgentFacts(busy=node.busy, ready=node.ready)
        if not node.up:
            return AgentFacts(up=False, busy=node.busy)
        return AgentFacts(
            up=True,
            start_time=node.life,
            resident_bytes=node.resident_bytes,
            limited_bytes=node.limited,
            busy=node.busy,
            ready=node.ready,
        )


class FakePrometheus:
    def __init__(self, world: World) -> None:
        self._world = world

    def hard_limit_bytes(self, host: str, agent: str, now: float) -> int:
        if not self._world.prometheus_answers:
            raise FactsUnavailable("Prometheus: refused")
        return LIMIT

    def firing(self, selectors: Sequence[str], now: float) -> tuple[str, ...]:
        if not self._world.prometheus_answers:
            raise FactsUnavailable("Prometheus: refused")
        return self._world.firing

    def hosts_with_alerts(
        self, _matchers: object, _now: float, *, host: str | None = None
    ) -> frozenset[str]:
        if not self._world.prometheus_answers:
            raise FactsUnavailable("Prometheus: refused")
        return frozenset(
            name
            for name, node in self._world.nodes.items()
            if node.ping_alert_fires and host in (None, name)
        )

    def by_agent(self, _expression: str) -> dict[tuple[str, str], float]:
        if not self._world.prometheus_answers:
            raise FactsUnavailable("Prometheus: refused")
        return {}


class FakeControllers:
    def __init__(self, world: World) -> None:
        self._world = world

    def _node(self, host: Host, what: str) -> Node:
        self._world.boundary(f"before {what}")
        node = self._world.nodes[host.name]
        if not node.controller_answers:
            raise ControllerError(f"{what} of {host.name}: mn-1: refused")
        return node

    def drain(self, host: Host, agent: str, restart_id: str) -> None:
        node = self._node(host, "drain")
        node.drained = True
        if node.busy_once_drained:
            node.busy = True
            self._world.later(node.busy_once_drained, lambda: setattr(node, "busy", False))
            node.busy_once_drained = 0.0
        self._world.boundary("after drain")
        self._ask_second(node, "drain")

    def undrain(self, host: Host, agent: str, restart_id: str) -> None:
        node = self._node(host, "undrain")
        self._ask_second(node, "undrain")
        node.drained = False
        self._world.boundary("after undrain")

    def _ask_second(self, node: Node, what: str) -> None:
        if node.second_controller_dead:
            raise ControllerError(f"{what} of {node.name}: mn-2: refused")

    @property
    def states_by_controller(self) -> dict[str, Callable[[Host], HostState | Unknown | None]]:
        return {"mn-1": lambda host: self._world.nodes[host.name].state}

    def states(self, host: Host) -> tuple[ControllerState, ...]:
        state = self._world.nodes[host.name].state
        return () if state is None else (ControllerState("mn-1", state),)

    def tasks(self, host: Host, agent: str) -> tuple[ControllerTasks, ...]:
        node = self._world.nodes[host.name]
        if not node.controller_answers:
            return (ControllerTasks("mn-1", Unknown("refused")),)
        told = ControllerTasks("mn-1", tuple(Task(one, one) for one in node.running))
        silent = [ControllerTasks("mn-2", Unknown("refused"))] * node.second_controller_dead
        return (told, *silent)

    def reconnect(
        self, host: Host, agent: str, restart_id: str, *, timeout_seconds: float, **_: object
    ) -> None:
        self._world.boundary("before reconnect")
        node, restarted = self._world.nodes[host.name], self._world.node_of(host.name, agent)
        self._world.check_before_reconnect(restarted)
        self._world.reconnects.append(host.name)
        if node.reconnect_restarts:
            self._world.clock.advance(RECONNECT_SECONDS)
            self._world.begin_life(restarted)
        if not (node.controller_answers and node.reconnects):
            raise ReconnectFailed(f"reconnect of {host.name}: mn-1: refused")
        self._world.boundary("after reconnect")


class FakeSsh:
    def __init__(self, world: World) -> None:
        self._world = world

    def run(
        self, host: Host, command: str, *, before_command: Callable[[], None], **_: object
    ) -> CommandResult:
        world = self._world
        node = world.node_of(host.name, command)
        world.boundary("before the session")
        if node.ssh == "refused":
            raise SshError(f"{host.name}: refused")
        before_command()
        world.boundary("before the command")
        if node.ssh == "lost_just_before":
            raise SshError(f"{host.name}: the connection was lost before the command")
        world.check_before_command(node)
        node.commands.append(world.clock.uptime_seconds)
        if node.ssh == "fails":
            return CommandResult(5, "", "Unit not found.", False, 0.1)
        if node.ssh == "has_none":
            return CommandResult(0, "done\n", "", False, 0.1)
        if node.ssh == "lost_before":
            raise CommandLost(f"{host.name}: cut")
        if node.ssh == "lost_late":
            world.later(20, lambda: world.restart_agent(node))
            raise CommandLost(f"{host.name}: cut")
        world.restart_agent(node)
        world.boundary("after the command")
        if node.ssh == "lost_after":
            raise CommandLost(f"{host.name}: cut")
        return CommandResult(0, "done\n", "", False, 0.1)


@dataclasses.dataclass
class FakeInventory:
    names: Collection[str]
    unlisted: Collection[str] = ()
    """Hosts that are there, and left the inventory."""
    valid: bool = True
    labels: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)

    def get(self, name: str) -> Host | None:
        if name not in self.names or name in self.unlisted:
            return None
        return Host(name, f"{name}:10058", name, {"host": name, **self.labels.get(name, {})})

    def hosts(self) -> dict[str, Host]:
        listed = sorted(name for name in self.names if name not in self.unlisted)
        return {name: cast(Host, self.get(name)) for name in listed}
