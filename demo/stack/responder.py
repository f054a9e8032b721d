"""A responder of one's own: how it is configured, run, told and asked.

one = responder(folder, free_port(), lonely(folder, "sqlite:///…"))
one.start()
one.tell(alert(1))
"""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from demo.stack.http import Json
from demo.stack.own_programs import SCRIPTS, ours
from demo.stack.processes import Program, wait_until

HOST, AGENT = "node-1", "sample-agent"
UNUSED = "127.0.0.1:9"
"""An address on which nothing listens."""


@dataclass(frozen=True, slots=True)
class Responder:
    """One responder and its database, over all of its process's lives."""

    program: Program
    url: str

    # -- the process ----------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        return self.program.pid

    def start(self, dies_at: str | None = None) -> None:
        """Start it; with ``dies_at`` one that kills itself there (demo.stack.faulty_responder)."""
        self.become(*(("demo.stack.faulty_responder", "die", dies_at) if dies_at else ()))
        self.program.start()

    def become(self, *module: str) -> None:
        """Have it run a module with these first arguments from its next start on; none: itself."""
        argv = self.program.argv
        flags = argv[next(i for i, word in enumerate(argv) if str(word).startswith("--")) :]
        first = [sys.executable, "-m", *module] if module else [SCRIPTS / "memleash-responder"]
        self.program.argv = [*first, *flags]

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self.program.kill()

    def stop(self) -> None:
        """Stop it as a service manager does."""
        self.program.stop()

    def wait_dead(self) -> None:
        """Wait until it has killed itself."""
        wait_until(
            "the responder to kill itself",
            lambda: not self.program.running(),
            seen=self.program.log_end,
        )

    # -- what it is told ------------------------------------------------------------------------

    def tell(self, *alerts: Mapping[str, Any], timeout_seconds: float = 30) -> int:
        """Deliver a notification and return the status of the answer."""
        return self.deliver(notification(*alerts), timeout_seconds=timeout_seconds)

    def deliver(self, body: bytes, *, timeout_seconds: float = 30) -> int:
        """POST ``body`` to the webhook and return the status of the answer."""
        request = urllib.request.Request(f"{self.url}/api/v1/alertmanager", body)
        return _status(request, timeout_seconds)

    def alert(self, *hosts: str) -> None:
        """Tell of an alert for each host of a fleet that began just now."""
        self.alert_of(*(over_limit(host) for host in hosts))

    def alert_of(self, *alerts: Mapping[str, Any]) -> None:
        """Tell of ``alerts``; one that is killed meanwhile may not answer."""
        with contextlib.suppress(OSError):
            self.tell(*alerts)

    # -- what it says ---------------------------------------------------------------------------

    def status(self, path: str) -> int:
        """GET ``path`` and return the status of the answer."""
        return _status(urllib.request.Request(f"{self.url}{path}"), 30)

    def get(self, path: str) -> Any:
        """GET ``path`` and return the answer's JSON."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as answer:
            return json.load(answer)

    def metric(self, name: str) -> float:
        """Return the one value of a metric; ``name`` may have labels as in the text format."""
        (value,) = [line.rpartition(" ")[2] for line in self._metrics(f"{name} ")]
        return float(value)

    def samples(self, name: str) -> list[str]:
        """Return the lines of a metric that has labels."""
        return self._metrics(f"{name}{{")

    def _metrics(self, start: str) -> list[str]:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return [line for line in lines if line.startswith(start)]

    def request(self, host: str) -> Json:
        """Return the host's newest request, or None."""
        found = self.get(f"/api/v1/restarts?host={host}&limit=1")["restarts"]
        return found[0] if found else None

    def at(self, host: str, name: str) -> Json:
        """Return one thing about the host's newest request; None while there is none."""
        request = self.request(host)
        return request[name] if request else None

    def finished(self, host: str, *, timeout_seconds: float = 90) -> Json:
        """Return the host's newest request once it has its final word."""

        def look() -> Json:
            request = self.request(host)
            return request if request and request["outcome"] else None

        return wait_until(
            f"the request of {host} to end",
            look,
            timeout_seconds=timeout_seconds,
            every_seconds=0.1,
            seen=lambda: (self.request(host), self.program.log_end()),
        )

    def outcomes(self) -> dict[str, int]:
        """Return how many requests this process ended with each word."""
        counted: dict[str, int] = {}
        for line in self.samples("memleash_responder_restarts_total"):
            outcome = line.split('outcome="')[1].split('"')[0]
            counted[outcome] = counted.get(outcome, 0) + int(float(line.rsplit(" ", 1)[1]))
        return {outcome: count for outcome, count in counted.items() if count}

    def state(self, host: str) -> str:
        """Return the state in which its metrics have the host."""
        (line,) = (
            line
            for line in self.samples("memleash_responder_host_state")
            if f'host="{host}"' in line and line.endswith(" 1.0")
        )
        return line.split('state="')[1].split('"')[0]


def responder(
    folder: Path,
    port: int,
    config: Mapping[str, Any],
    name: str = "responder",
    *flags: str,
    ready: str | None = "/-/healthy",
) -> Responder:
    """Write ``config`` into ``folder`` and return the responder, not started."""
    file = folder / f"{name}.yml"
    file.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    program = ours("responder", file, port, folder / f"{name}.log", *flags, ready=ready)
    return Responder(program, f"http://127.0.0.1:{port}")


def lonely(folder: Path, database: str, **changes: Any) -> dict[str, Any]:
    """Return the configuration of a responder whose one host and whose peers do not answer."""
    inventory = folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump([{"targets": [UNUSED], "labels": {"host": HOST}}]))
    return {
        "database": database,
        "inventory": {"files": [str(inventory)]},
        "prometheus": {"url": f"http://{UNUSED}"},
        "alertmanager": {"urls": [f"http://{UNUSED}"]},
        "agents": {AGENT: {"mode": "enforce", "restart_command": "false"}},
        **changes,
    }


def alert(
    number: int = 0, *, host: str = HOST, agent: str = AGENT, status: str = "firing", **labels: str
) -> dict[str, Any]:
    """Return alert ``number`` as Alertmanager would tell it: over the hard limit, since now."""
    return {
        "status": status,
        "labels": {
            "alertname": "AgentMemoryHardLimitExceeded",
            "remediation": "restart",
            "host": host,
            "agent": agent,
            **labels,
        },
        "annotations": {},
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{number:016x}",
    }


def over_limit(host: str) -> dict[str, Any]:
    """Return the alert of a fleet's host, whose agent is called as it is."""
    return alert(host=host, agent=host) | {"fingerprint": f"fingerprint-{host}"}


def notification(*alerts: Mapping[str, Any]) -> bytes:
    """Return a webhook body, version 4."""
    body = {"version": "4", "receiver": "responder", "status": "firing", "groupLabels": {}}
    return json.dumps({**body, "truncatedAlerts": 0, "alerts": alerts}).encode()


def _status(request: urllib.request.Request, timeout_seconds: float) -> int:
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
