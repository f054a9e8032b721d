"""Prometheus, Alertmanager and controllers as small real HTTP servers, told what to answer.

Everything is asked for by host, so that one set of peers serves a fleet of hosts with a fault
each. What came is recorded; what Alertmanager was told is kept, as it keeps it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from demo import http_server
from demo.http_server import serving

CONTROLLERS = ("mn-1", "mn-2", "mn-3")


@dataclasses.dataclass(frozen=True)
class Reply:
    """One answer; ``cut`` closes the connection in place of it, ``delay`` comes before it.

    The shell runs ``at_once`` as soon as it was asked: what happens while the answer is awaited.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    raw: bytes | None = None
    at_once: str = ""


GOOD = Reply({})
NO_TASKS = Reply({"running": [], "pending": []})


class Peers:
    """The three peers on one port, below /prometheus, /alertmanager and /mn-N."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        """(controller, call, host), oldest first."""
        self.reconnects: list[tuple[str, dict[str, Any]]] = []
        """(controller, body) of each reconnect, oldest first."""
        self.failing_pings: set[str] = set()
        """The hosts for which an alert about pings fires."""
        self.silences: dict[str, dict[str, Any]] = {}
        self.faults: dict[tuple[str, str], list[Reply]] = {}
        """(call, host) or ("mn-2 tasks", host): the answers in turn, the last one for ever.

        Prometheus's calls are limit, pings and alerts."""
        self.firing: dict[str, int] = {}
        """How often each alert fires, as Prometheus has it."""
        self.exposition = b"this is no exporter {"
        self._drains: set[tuple[str, str]] = set()
        """(controller, host) of each drain that was asked for and has not ended."""
        self._lock = threading.Lock()
        self.url = ""

    @contextlib.contextmanager
    def serving(self) -> Iterator[Peers]:
        with serving(self._reply, keeps_connections=True) as served:
            self.url = served.url
            yield self

    def _reply(self, asked: http_server.Request) -> http_server.Reply | http_server.Raw:
        reply = self.answer(asked.method, asked.route, asked.query, asked.body)
        if reply.at_once:
            subprocess.run(reply.at_once, shell=True, check=True)
        time.sleep(reply.delay)
        if reply.cut:
            return http_server.Raw()
        if reply.raw is None:
            return http_server.as_json(reply.body, reply.status, **reply.headers)
        return http_server.Reply(reply.status, reply.raw, reply.headers)

    def of(self, host: str) -> list[tuple[str, str]]:
        """Return (controller, call) about ``host``, oldest first."""
        with self._lock:
            return [(controller, call) for controller, call, about in self.calls if about == host]

    def drained(self, host: str) -> set[str]:
        """Return the controllers that hold ``host`` drained: until an undrain goes well."""
        with self._lock:
            return {controller for controller, about in self._drains if about == host}

    def silenced(self, host: str) -> bool:
        """Whether a silence for ``host`` is in force."""
        with self._lock:
            return any(
                {"name": "host", "value": host, "isRegex": False, "isEqual": True}
                in silence["matchers"]
                for silence in self.silences.values()
            )

    def answer(self, method: str, path: str, query: str, body: bytes) -> Reply:
        _, peer, *rest = path.split("/")
        with self._lock:
            if peer == "prometheus":
                asked = urllib.parse.parse_qs(query)["query"][0]
                return self._pings(asked) if "by (host) (ALERTS{" in asked else self._limit(asked)
            if peer == "metrics":
                return Reply(raw=self.exposition)
            if peer == "alertmanager":
                return self._silence(method, rest, body)
            host, call = (
                (json.loads(body)["host"], "reconnect")
                if rest == ["reconnect"]
                else (rest[1], rest[2])
            )
            self.calls.append((peer, call, host))
            if call == "reconnect":
                self.reconnects.append((peer, json.loads(body)))
            default = NO_TASKS if call == "tasks" else GOOD
            reply = self._fault(f"{peer} {call}", host) or self._fault(call, host) or default
            if call == "drain":
                self._drains.add((peer, host))
            elif call == "undrain" and reply.status == 200 and not reply.cut:
                self._drains.discard((peer, host))
            return reply

    def _fault(self, call: str, host: str) -> Reply | None:
        planned = self.faults.get((call, host))
        if not planned:
            return None
        return planned.pop(0) if len(planned) > 1 else planned[0]

    def _pings(self, query: str) -> Reply:
        """Answer for which hosts an alert about pings fires."""
        about = re.search(r'host="([^"]+)"', query)
        fault = self._fault("pings", about[1]) if about else None
        if fault:
            return fault
        firing = self.failing_pings & {about[1]} if about else self.failing_pings
        metrics = [*({"host": host} for host in firing), {"memleash_part": "alive"}]
        result = [{"metric": metric, "value": [time.time(), "1"]} for metric in metrics]
        return Reply({"status": "success", "data": {"resultType": "vector", "result": result}})

    def _limit(self, query: str) -> Reply:
        labels = dict(re.findall(r'(host|agent)="([^"]+)"', query))
        if "ALERTS{" in query:
            return self._fault("alerts", "all") or self._alerts()
        reply = self._fault("limit", labels.get("host", "")) or limit(48 * 1024**2, age=1)
        if isinstance(reply.body, Limit):
            return dataclasses.replace(reply, body=reply.body.as_vector(labels))
        return reply

    def _alerts(self) -> Reply:
        found: list[tuple[dict[str, str], int]] = [({"memleash_part": "alive"}, 1)]
        found += [({"alertname": name}, count) for name, count in self.firing.items()]
        result = [{"metric": of, "value": [time.time(), str(count)]} for of, count in found]
        return Reply({"status": "success", "data": {"resultType": "vector", "result": result}})

    def _silence(self, method: str, rest: list[str], body: bytes) -> Reply:
        if method == "DELETE":
            self.silences.pop(rest[-1], None)
            return GOOD
        if method == "POST":
            posted = json.loads(body)
            name = posted.get("id") or f"silence-{len(self.silences)}-{time.monotonic_ns()}"
            self.silences[name] = {**posted, "id": name, "status": {"state": "active"}}
            return Reply({"silenceID": name})
        if "silence" in rest:
            silence = self.silences.get(rest[-1])
            return Reply(silence) if silence else Reply(status=404)
        return Reply(list(self.silences.values()) if rest[-1] == "silences" else [])


@dataclasses.dataclass(frozen=True, slots=True)
class Limit:
    """A hard limit and how old it is, as Prometheus has it of whatever agent it is asked for."""

    size_bytes: float
    age: float
    evaluated_ago: float = 0.0
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """In place of those that were asked for."""

    def as_vector(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """Return Prometheus's answer to who ``asked`` for the agent with these labels."""

        def sample(part: str, value: float) -> dict[str, Any]:
            metric = {**asked, **self.labels, "memleash_part": part}
            return {"metric": metric, "value": [time.time() - self.evaluated_ago, str(value)]}

        result = [sample("value", self.size_bytes), sample("age", self.age)]
        return {"status": "success", "data": {"resultType": "vector", "result": result}}


def limit(size_bytes: float, *, age: float) -> Reply:
    """Return what Prometheus answers to the query for a limit's value and age."""
    return Reply(Limit(size_bytes, age))
