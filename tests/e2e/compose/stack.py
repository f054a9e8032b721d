"""The compose stack: brought up as a user does it, with stand-ins for the public images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from demo.stack.http import Json, get
from demo.stack.tools import REPOSITORY
from tests.e2e.docker import DockerFailed, docker

FILE = REPOSITORY / "docker/compose.yaml"
_NOT_HERE = {"grafana"}
"""No Debian package of Grafana exists; its dashboards' queries are tested without it."""
_ONCE = {"setup", "database-password"}
"""These end when their work is done, so they cannot be waited for as those that stay up."""


@dataclass(frozen=True, slots=True)
class Compose:
    """`docker compose` for one form of the stack: plain (no profile) or ``ha``."""

    profile: str | None
    variables: Mapping[str, str]

    def __call__(self, *arguments: str | Path) -> str:
        """Return what ``docker compose <arguments>`` prints. Raises DockerFailed."""
        profile = ["--profile", self.profile] if self.profile else []
        environment = {**os.environ, **self.variables}
        return docker("compose", "-f", FILE, *profile, *arguments, environment=environment)

    def services(self) -> list[str]:
        """Return the services that are started here."""
        return sorted({*self("config", "--services").split()} - _NOT_HERE)

    def up(self) -> None:
        """Build, start, and wait until all are healthy. Raises DockerFailed with the logs."""
        try:
            self(
                "up",
                "-d",
                "--build",
                "--wait",
                *(name for name in self.services() if name not in _ONCE),
            )
        except DockerFailed as failed:
            raise DockerFailed(f"{failed}\n{self.logs()}") from failed

    def down(self) -> None:
        self("down", "--volumes", "--timeout", "2")

    def logs(self) -> str:
        return self("logs", "--no-color", "--tail", "200")


PORTS = {
    "prometheus": 9090,
    "alertmanager": 9093,
    "responder": 10059,
    "pager": 10060,
    "alertmanager-2": 9193,
    "responder-2": 10159,
}


def url(part: str, path: str) -> str:
    """Return an address as the person at the keyboard has it: a published port on loopback."""
    return f"http://127.0.0.1:{PORTS[part]}{path}"


def query(expr: str) -> list[Json]:
    """Return the samples of an instant query to the stack's Prometheus."""
    answer = get(url("prometheus", f"/api/v1/query?query={quote(expr)}"))
    return list(answer["data"]["result"])


def value(expr: str) -> float | None:
    samples = query(expr)
    return float(samples[0]["value"][1]) if samples else None
