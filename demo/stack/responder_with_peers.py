"""A responder process as its callers meet it, and peers that say what a test wants.

with peers() as world, face(tmp_path, world, access={...}) as served:
    answer = served.ask("GET", "/api/v1/hosts", token="...")
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import yaml

from demo.http_server import Reply, Request, as_json, serving
from demo.stack.own_programs import running
from demo.stack.ports import free_port
from demo.stack.processes import Program
from demo.stack.responder import responder

AGENT = "sample-agent"
MIB = 1024**2
HOSTS = ("node-1", "node-2")


@dataclass
class World:
    """What the fake exporter and the fake Prometheus say, of every host alike."""

    address: str = ""
    resident_bytes: int = 300 * MIB
    limited_bytes: int | None = None
    """What the limits are held against; None: the exporter is too old to tell it."""
    hard_limit_bytes: int = 192 * MIB
    alarm_threshold_bytes: int = 96 * MIB
    busy: int = 0
    ready: int = 1
    started_at: float = field(default_factory=lambda: time.time() - 7200)
    hosts: Sequence[str] = HOSTS
    scrapes: int = 0
    """How often the exporter was asked."""
    prometheus_answers: bool = True
    queries: list[tuple[str, int]] = field(default_factory=list)
    """What Prometheus was asked, each with the number of series that it answered."""

    def exposition(self) -> str:
        """Return the exporter's text."""
        values = {
            "memleash_agent_up": 1,
            "memleash_agent_start_time_seconds": self.started_at,
            "memleash_agent_resident_memory_bytes": self.resident_bytes,
            "memleash_agent_memory_hard_limit_bytes": self.hard_limit_bytes,
            "memleash_agent_memory_alarm_threshold_bytes": self.alarm_threshold_bytes,
            "memleash_agent_busy": self.busy,
            "memleash_agent_ready": self.ready,
        }
        if self.limited_bytes is not None:
            values["memleash_agent_limited_memory_bytes"] = self.limited_bytes
        return "".join(f'{name}{{agent="{AGENT}"}} {value}\n' for name, value in values.items())

    def query(self, expression: str) -> dict[str, Any]:
        """Return Prometheus's answer to one of the responder's queries; no alert fires."""
        result = self._series(expression)
        self.queries.append((expression, len(result)))
        return {"status": "success", "data": {"resultType": "vector", "result": result}}

    def _series(self, expression: str) -> list[dict[str, Any]]:
        if "ALERTS{" in expression:
            return [_sample({"memleash_part": "alive"}, 1)]
        about = re.search(r'host=~("(?:[^"\\]|\\.)*")', expression)
        hosts = re.compile(json.loads(about[1]) if about else ".*")
        labels = [{"host": host, "agent": AGENT} for host in self.hosts if hosts.fullmatch(host)]
        parts = re.findall(
            r'label_replace\((max .*?), "memleash_part", "(\w+)", "", ""\)', expression
        )
        if parts:
            return [
                _sample({**of, "memleash_part": part}, self._value(asked))
                for asked, part in parts
                for of in labels
            ]
        if "== 1" in expression and not self.busy:
            return []
        return [_sample(of, self._value(expression)) for of in labels]

    def _value(self, expression: str) -> float:
        limited_bytes = self.limited_bytes or self.resident_bytes
        if " / " in expression:
            return limited_bytes / self.hard_limit_bytes
        values = {
            "timestamp(": time.time(),
            "growth_bytes_per_second": 0,
            "limited_memory_bytes": limited_bytes,
            "resident_memory_bytes": self.resident_bytes,
            "alarm_threshold_bytes": self.alarm_threshold_bytes,
            "hard_limit_bytes": self.hard_limit_bytes,
            "start_time_seconds": self.started_at,
            "agent_busy": self.busy,
            "agent_up": 1,
            "agent_ready": self.ready,
        }
        return next(value for part, value in values.items() if part in expression)


def _sample(labels: dict[str, str], value: float) -> dict[str, Any]:
    return {"metric": labels, "value": [time.time(), str(value)]}


@contextlib.contextmanager
def peers(**said: Any) -> Iterator[World]:
    """Serve a World on a free port: exporter, Prometheus and an Alertmanager without silences."""
    world = World(**said)

    def answer(asked: Request) -> Reply:
        if asked.path == "/metrics":
            world.scrapes += 1
            return Reply(200, world.exposition().encode())
        if asked.route == "/api/v1/query":
            if not world.prometheus_answers:
                return Reply(503, b"starting")
            form = asked.body.decode() if asked.method == "POST" else asked.query
            return as_json(world.query(parse_qs(form)["query"][0]))
        return as_json([])

    with serving(answer) as served:
        world.address = served.address
        yield world


@dataclass(frozen=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Face:
    """One responder and how to speak to it."""

    program: Program
    port: int
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | Mapping[str, Any] | list[Any] | None = None,
        *,
        token: str | None = None,
        user: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request just as it is given; nothing is normalised, nothing is followed."""
        sent = dict(headers or {})
        if isinstance(body, Mapping | list):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if user is not None:
            sent["Authorization"] = "Basic " + base64.b64encode(":".join(user).encode()).decode()
        connection = self.connection()
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            names: dict[str, str] = {}
            for name, value in answer.getheaders():
                names.setdefault(name.lower(), value)  # the first of several
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection that is not opened yet."""
        if self.tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        return http.client.HTTPSConnection("localhost", self.port, timeout=60, context=self.tls)

    def form(self, path: str, fields: str, **how: Any) -> Answer:
        """Send a form as a browser does from the responder's own page."""
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": self.url,
            "Sec-Fetch-Site": "same-origin",
            **how.pop("headers", {}),
        }
        return self.ask("POST", path, fields, headers=headers, **how)


@contextlib.contextmanager
def face(
    folder: Path,
    world: World,
    *,
    mode: str = "approve",
    access: Mapping[str, Any] | None = None,
    web_config: Mapping[str, Any] | None = None,
    tls: ssl.SSLContext | None = None,
    **changes: Any,
) -> Iterator[Face]:
    """Run a responder with its files in ``folder`` until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    port, flags = free_port(), []
    if web_config is not None:
        (folder / "web.yml").write_text(yaml.safe_dump(dict(web_config)), encoding="utf-8")
        flags = [f"--web.config.file={folder / 'web.yml'}"]
    config = configured(folder, world, mode=mode, access=access, **changes)
    one = responder(folder, port, config, "responder", *flags, ready=None)
    with running(one.program):
        yield Face(one.program, port, tls)


def configured(
    folder: Path,
    world: World,
    *,
    mode: str = "approve",
    access: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Write the inventory into ``folder`` and return the configuration of a responder there."""
    inventory = [{"targets": [world.address], "labels": {"host": host}} for host in world.hosts]
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    return {
        "database": f"sqlite:///{folder / 'responder.db'}",
        "inventory": {"files": ["hosts.yml"]},
        "prometheus": {"url": f"http://{world.address}"},
        "alertmanager": {"urls": [f"http://{world.address}"]},
        "reports": {"folder": str(folder / "reports")},
        "agents": {AGENT: {"mode": mode, "restart_command": "false"}},
        **({"access": dict(access)} if access else {}),
        **changes,
    }
