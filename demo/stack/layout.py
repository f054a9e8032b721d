"""What one stack is about: its folder, its ports, its host and agent, its limits and times."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ports:
    """Where each part listens on loopback."""

    agent: int
    exporter: int
    blackbox: int
    prometheus: int
    alertmanager: int
    responder: int
    controller: int
    pager: int
    sshd: int


@dataclass(frozen=True, slots=True)
class Pace:
    """The stack's limits and times: a fleet's, made small."""

    alarm_threshold_bytes: int = 96 * MIB
    hard_limit_bytes: int = 192 * MIB
    start_delay_seconds: float = 3.0
    """How long the agent takes from its start to its first answer."""
    mute_base_seconds: int = 15
    mute_step_bytes: int = 64 * MIB
    retry_seconds: int = 5
    """How soon a refused alert that still fires is looked at again."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One host, its agent, and the folder that holds all that belongs to them."""

    folder: Path
    ports: Ports
    pace: Pace = Pace()
    host: str = "demo-host"
    agent: str = "sample-agent"

    @property
    def service(self) -> Path:
        """The agent's service folder: command, pidfile and logs."""
        return self.folder / "service"

    @property
    def busy(self) -> Path:
        """Where agents' busy markers go, one folder for each agent."""
        return self.folder / "busy"

    @property
    def rules(self) -> Path:
        return self.folder / "rules"

    @property
    def reports(self) -> Path:
        """Where the responder keeps the reports of diagnoses."""
        return self.folder / "reports"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def inventory(self) -> Path:
        return self.folder / "hosts.yml"

    def address(self, part: str) -> str:
        """Return ``host:port`` of a part, named as in Ports."""
        return f"127.0.0.1:{getattr(self.ports, part)}"

    def url(self, part: str, path: str = "") -> str:
        return f"http://{self.address(part)}{path}"
