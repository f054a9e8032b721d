"""A responder process of a test's own, with no more around it than the test gives it."""

from __future__ import annotations

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

from demo.stack.http import answers
from demo.stack.processes import Program
from demo.stack.tools import REPOSITORY

HOST, AGENT = "node-1", "sample-agent"
UNUSED = "127.0.0.1:9"
"""An address on which nothing listens."""


@dataclass(frozen=True, slots=True)
class Responder:
    """A responder and its HTTP side."""

    program: Program
    url: str

    def tell(self, *alerts: Mapping[str, Any], timeout_seconds: float = 30) -> int:
        """Deliver a notification and return the status of the answer."""
        return self.deliver(notification(*alerts), timeout_seconds=timeout_seconds)

    def deliver(self, body: bytes, *, timeout_seconds: float = 30) -> int:
        """POST ``body`` to the webhook and return the status of the answer."""
        request = urllib.request.Request(f"{self.url}/api/v1/alertmanager", body)
        return _status(request, timeout_seconds)

    def status(self, path: str) -> int:
        """GET ``path`` and return the status of the answer."""
        return _status(urllib.request.Request(f"{self.url}{path}"), 30)

    def get(self, path: str) -> Any:
        """GET ``path`` and return the answer's JSON."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as answer:
            return json.load(answer)

    def metric(self, name: str) -> float:
        """Return the one value of a metric; ``name`` may have labels as in the text format."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        (value,) = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")]
        return float(value)


def responder(
    folder: Path, port: int, config: Mapping[str, Any], name: str = "responder"
) -> Responder:
    """Write ``config`` into ``folder`` and return the responder, not started."""
    file = folder / f"{name}.yml"
    file.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    url = f"http://127.0.0.1:{port}"
    program = Program(
        name,
        [
            Path(sys.executable).parent / "memleash-responder",
            f"--config.file={file}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        folder / f"{name}.log",
        lambda: answers(f"{url}/-/healthy"),
        {"PYTHONPATH": str(REPOSITORY)},
    )
    return Responder(program, url)


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
