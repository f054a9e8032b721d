"""A fleet on loopback: real agents, one real exporter, real sshd; the peers are stand-ins.

All hosts are this machine: each has an agent of its own, run by demo/service, whose log counts
the starts. The responder is a real process; it may be one that kills itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from demo.stack import sshd
from demo.stack.configs import SERVICE_SCRIPT
from demo.stack.fake_peers import CONTROLLERS, Peers
from demo.stack.http import Json, answers, get, post
from demo.stack.layout import MIB
from demo.stack.own_programs import ours
from demo.stack.ports import reserve_ports
from demo.stack.processes import Program, wait_until
from demo.stack.responder import Responder, responder
from demo.stack.tools import REPOSITORY, find

LIMIT_MIB, OVER_MIB = 48, 64


@dataclasses.dataclass(frozen=True)
class Patience:
    """How many seconds the responder waits for what it asks.

    Short ones are for faults, which shall be over soon; where nothing is at fault, a slow machine
    is no reason to give up.
    """

    peer: int = 3
    exporter: int = 10
    ssh: int = 4
    agent: int = 10


PATIENT = Patience(peer=60, exporter=60, ssh=60, agent=60)
QUICK = {"startup_grace": "0s", "wait_for_idle": "2s", "idle_interval": "500ms"}
"""Guards with short waits."""


@dataclasses.dataclass(frozen=True)
class Member:
    """One host and its agent; each row of a matrix has one of its own."""

    name: str
    command: str = "{service} restart"
    """The restart command; ``{service}`` is the service script on this agent's ``{folder}``."""
    agent_flags: tuple[str, ...] = ()
    ssh_address: str | None = None
    exporter_address: str | None = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """In the inventory, beside those of every host. Members with the same ``host`` share it."""
    limit_from_prometheus: bool = False
    program: str = "demo.agent"
    """The module that its agent is."""
    script: Path = SERVICE_SCRIPT
    """Starts, stops and restarts it; see demo/service."""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Over the settings of its agent in the responder's configuration."""


class Fleet:
    """The members and what they live with. Build it with ``running``."""

    def __init__(
        self,
        folder: Path,
        ports: Iterator[int],
        peers: Peers,
        members: list[Member],
        agents_per_exporter: int,
        patience: Patience,
    ) -> None:
        self.folder = folder
        self.patience = patience
        self.peers = peers
        self.members = {member.name: member for member in members}
        self._agent_ports = {name: next(ports) for name in self.members}
        self._responder_port = next(ports)
        self.sshd = sshd.configure(find().sshd, folder / "ssh", next(ports))
        self.exporters: list[Program] = []
        self._watched_by: dict[str, int] = {}
        for first in range(0, len(members), agents_per_exporter):
            port = next(ports)
            group = members[first : first + agents_per_exporter]
            self._watched_by |= {member.name: port for member in group}
            self.exporters.append(self._exporter(port))

    # -- the parts ------------------------------------------------------------------------------

    def write(self) -> None:
        """Write the configuration of every part but the responder."""
        for member in self.members.values():
            service = self.service(member.name)
            service.mkdir(parents=True)
            (service / "command").write_text(self._agent_command(member), encoding="utf-8")
        targets = [self._target(member) for member in self.members.values()]
        self._write("hosts.yml", list({one["labels"]["host"]: one for one in targets}.values()))
        for port in set(self._watched_by.values()):
            group = [one for one in self.members.values() if self._watched_by[one.name] == port]
            self._write(
                f"exporter-{port}.yml",
                {
                    "agents": [self._watched(member) for member in group],
                    "busy_markers_directory": str(self.folder / "busy"),
                },
            )

    def service(self, name: str) -> Path:
        return self.folder / "services" / name

    def filled_in(self, command: str, name: str) -> str:
        """Return a shell ``command`` with the ``{service}`` and ``{folder}`` of a member."""
        folder, script = self.service(name), self.members[name].script
        return command.format(service=shlex.join([str(script), str(folder)]), folder=folder)

    def _agent_command(self, member: Member) -> str:
        command = [
            *("env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-m", member.program),
            *("--listen", f"127.0.0.1:{self._agent_ports[member.name]}", "--name", member.name),
            *("--start-delay", "0.2", "--end-with", str(os.getpid())),
        ]
        return shlex.join([*command, *member.agent_flags])

    def _target(self, member: Member) -> Json:
        address = member.exporter_address or f"127.0.0.1:{self._watched_by[member.name]}"
        ssh_address = member.ssh_address or f"127.0.0.1:{self.sshd.port}"
        return {
            "targets": [address],
            "labels": {"host": member.name, "ssh_address": ssh_address, **member.labels},
        }

    def _watched(self, member: Member) -> Json:
        url = self.agent_url(member.name)
        pace = {"timeout": "1s", "interval": "300ms", "max_age": "5s"}
        watched: Json = {
            "name": member.name,
            "discover": {"pidfile": str(self.service(member.name) / "agent.pid")},
            "busy": [{"markers": {}}],
            "ready": {"http": {"url": f"{url}/host/echo", **pace}},
        }
        if not member.limit_from_prometheus:
            watched["limits"] = {"hard_limit": LIMIT_MIB * MIB}
        return watched

    def responder_config(self, database: Path, /, **changes: Any) -> Json:
        """Return a configuration for the whole fleet at a quick pace."""
        return {
            "prometheus": {
                "url": f"{self.peers.url}/prometheus",
                "timeout": f"{self.patience.peer}s",
            },
            "alertmanager": {"urls": [f"{self.peers.url}/alertmanager"]},
            "database": f"sqlite:///{database}",
            "inventory": {"files": [str(self.folder / "hosts.yml")]},
            "ssh": {
                "user": self.sshd.user,
                "identity_file": str(self.sshd.identity_file),
                "known_hosts_file": str(self.sshd.known_hosts_file),
                "config_file": "/dev/null",
                "connect_timeout": f"{self.patience.ssh}s",
                "command_timeout": f"{self.patience.ssh}s",
            },
            "controllers": self.controllers(),
            "agents": {
                member.name: {**self._agent_settings(member), **member.settings}
                for member in self.members.values()
            },
            "exporter": {"timeout": f"{self.patience.exporter}s"},
            "fleet": {
                "storm_fraction": 1,
                "max_concurrent_restarts": 8,
                "max_restarts_per_hour": 1000,
            },
            "mute": {"interval": "300ms", "tail": "100ms"},
            **changes,
        }

    def controllers(self, *, with_states: bool = False) -> list[Json]:
        """Return the settings of all controllers, where asked for with a ``state_url``."""
        return [self._controller(name, with_states=with_states) for name in CONTROLLERS]

    def _controller(self, name: str, *, with_states: bool) -> Json:
        base = f"{self.peers.url}/{name}"
        state = {"state_url": f"{base}/hosts/{{host}}/state"} if with_states else {}
        return {
            "name": name,
            "drain_url": f"{base}/hosts/{{host}}/drain",
            "undrain_url": f"{base}/hosts/{{host}}/undrain",
            "tasks_url": f"{base}/hosts/{{host}}/tasks",
            "reconnect_url": f"{base}/reconnect",
            "timeout": f"{self.patience.peer}s",
            **state,
        }

    def _agent_settings(self, member: Member) -> Json:
        return {
            "mode": "enforce",
            "restart_command": self.filled_in(member.command, member.name),
            "readiness": {
                "probes": int(4 * self.patience.agent),
                "timeout": "2s",
                "interval": "250ms",
            },
            "reconnect_timeout": f"{self.patience.agent}s",
            "guards": QUICK,
        }

    @contextlib.contextmanager
    def responder(
        self, name: str, *, log_level: str = "debug", **changes: Any
    ) -> Iterator[Responder]:
        """Prepare a responder with a database of its own; it is ended, however it is left."""
        folder = self.folder / "responders" / name
        folder.mkdir(parents=True)
        config = self.responder_config(folder / "responder.db", **changes)
        level = f"--log.level={log_level}"
        one = responder(folder, self._responder_port, config, "responder", level, ready="/-/ready")
        try:
            yield one
        finally:
            one.kill()

    def _exporter(self, port: int) -> Program:
        name = f"exporter-{port}"
        return ours("exporter", self.folder / f"{name}.yml", port, self.folder / f"{name}.log")

    def _write(self, name: str, content: Json) -> None:
        (self.folder / name).write_text(yaml.safe_dump(content), encoding="utf-8")

    # -- what is done to the agents -------------------------------------------------------------

    def start_agent(self, name: str, *, mib: int = OVER_MIB) -> None:
        """Start an agent as its service, let it grow over the limit, and wait until it is ready."""
        self.start_agents([name], mib=mib)

    def start_agents(self, names: Iterable[str], *, mib: int = OVER_MIB) -> None:
        """Start agents as their services, let them grow, and wait until exporters say: ready."""
        started = list(names)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: self._start_and_grow(name, mib), started))
        wait_until(
            "the exporters to say that all agents are ready",
            lambda: not self._not_ready(started),
            seen=lambda: self._not_ready(started),
        )

    def _start_and_grow(self, name: str, mib: int) -> None:
        self.serve(name, "start")
        url = self.agent_url(name)
        wait_until(f"{name} to answer", lambda: answers(f"{url}/host/echo"))
        post(f"{url}/grow", {"to_mib": mib})

    def stop_agents(self) -> None:
        """Stop all agents that run."""
        running = [name for name in self.members if (self.service(name) / "agent.pid").exists()]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: self.serve(name, "stop"), running))

    def serve(self, name: str, action: str) -> None:
        argv: list[str | Path] = [self.members[name].script, self.service(name), action]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)

    def agent_does(self, name: str, what: str, **arguments: Json) -> Json:
        return post(f"{self.agent_url(name)}/{what}", arguments)

    def agent_url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._agent_ports[name]}"

    def starts(self, name: str) -> int:
        """Return how often the service was started, by its own log."""
        log = self.service(name) / "service.log"
        return len(log.read_text(encoding="utf-8").splitlines()) if log.exists() else 0

    def metrics_url(self, name: str) -> str:
        """Return where the agent's exporter serves, whatever the inventory says."""
        return f"http://127.0.0.1:{self._watched_by[name]}/metrics"

    def _not_ready(self, names: list[str]) -> list[str]:
        """Return the agents of which their exporters do not say that they are ready."""
        said = {url: str(get(url)) for url in {self.metrics_url(name) for name in names}}
        return [
            name
            for name in names
            if f'memleash_agent_ready{{agent="{name}"}} 1' not in said[self.metrics_url(name)]
        ]

    def mark_busy(self, name: str) -> Path:
        """Hold a busy marker for an agent; unlink it to end."""
        marker = self.folder / "busy" / name / "test.json"
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text('{"reason": "test"}', encoding="utf-8")
        return marker


@contextlib.contextmanager
def running(
    folder: Path,
    members: list[Member],
    *,
    agents_per_exporter: int = 100,
    patience: Patience = Patience(),
) -> Iterator[Fleet]:
    """Run the fleet's sshd, exporters and peers; agents are started by the rows. All ends here."""
    with contextlib.ExitStack() as stack:
        ports = _ports(stack)
        peers = stack.enter_context(Peers().serving())
        fleet = Fleet(folder, ports, peers, members, agents_per_exporter, patience)
        fleet.write()
        stack.callback(fleet.stop_agents)
        for program in (fleet.sshd.program, *fleet.exporters):
            stack.callback(program.stop)
            program.start(60)
        yield fleet


def _ports(stack: contextlib.ExitStack) -> Iterator[int]:
    """Yield free ports, as many as are asked for."""
    while True:
        yield from stack.enter_context(reserve_ports())
