"""A responder in charge of a fleet: one database, over all of its process's lives."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from demo.stack.http import CallFailed, Json, answers, get, post
from demo.stack.processes import Program, wait_until
from demo.stack.tools import REPOSITORY

CRASHING = (sys.executable, "-m", "tests.integration.restart.crashing_responder")


@dataclasses.dataclass
class Responder:
    """One responder and its database, over all of its process's lives."""

    config: Path
    log: Path
    port: int
    _program: Program | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._program is not None
        return self._program.pid

    def start(self, dies_at: str | None = None, *, log_level: str = "debug") -> None:
        """Start the process; with ``dies_at`` the one that kills itself there."""
        ours: list[str | Path] = [Path(sys.executable).parent / "memleash-responder"]
        self._program = Program(
            "responder",
            [
                *([*CRASHING, dies_at] if dies_at else ours),
                f"--config.file={self.config}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                f"--log.level={log_level}",
            ],
            self.log,
            lambda: answers(f"{self.url}/-/ready"),
            {"PYTHONPATH": str(REPOSITORY)},
        )
        self._program.start(60)

    def kill(self) -> None:
        if self._program is not None:
            self._program.kill()

    def stop(self) -> None:
        """Stop the process as a service manager does."""
        assert self._program is not None
        self._program.stop()

    def wait_dead(self) -> None:
        program = self._program
        assert program is not None
        wait_until(
            "the responder to kill itself",
            lambda: not program.running(),
            seen=program.log_end,
        )

    def alert(self, *hosts: str, firing: bool = True) -> None:
        """Tell of an alert for each host that began just now. A killed responder may not answer."""
        with contextlib.suppress(CallFailed):
            post(f"{self.url}/api/v1/alertmanager", notification(*hosts, firing=firing))

    def request(self, host: str) -> Json:
        """Return the host's newest request, or None."""
        found = get(f"{self.url}/api/v1/restarts?host={host}")["restarts"]
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
            seen=lambda: (self.request(host), self._program and self._program.log_end()),
        )

    def outcomes(self) -> dict[str, int]:
        """Return how many requests this process ended with each word."""
        counted: dict[str, int] = {}
        for line in self.metric("memleash_responder_restarts_total"):
            outcome = line.split('outcome="')[1].split('"')[0]
            counted[outcome] = counted.get(outcome, 0) + int(float(line.rsplit(" ", 1)[1]))
        return {outcome: count for outcome, count in counted.items() if count}

    def metric(self, name: str) -> list[str]:
        """Return the lines of one of the responder's metrics."""
        lines = str(get(f"{self.url}/metrics")).splitlines()
        return [line for line in lines if line.startswith(f"{name}{{")]

    def state(self, host: str) -> str:
        (line,) = (
            line
            for line in self.metric("memleash_responder_host_state")
            if f'host="{host}"' in line and line.endswith(" 1.0")
        )
        return line.split('state="')[1].split('"')[0]


def notification(*hosts: str, firing: bool = True) -> Json:
    """Return what Alertmanager posts when these hosts' agents are over their limit."""
    alerts = [
        {
            "status": "firing" if firing else "resolved",
            "labels": {
                "alertname": "AgentMemoryHardLimitExceeded",
                "host": host,
                "agent": host,
                "remediation": "restart",
                "severity": "critical",
            },
            "annotations": {},
            "startsAt": datetime.fromtimestamp(time.time(), UTC).isoformat(),
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": f"fingerprint-{host}",
        }
        for host in hosts
    ]
    return {"version": "4", "status": "firing", "receiver": "responder", "alerts": alerts}
