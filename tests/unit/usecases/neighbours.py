"""Real clients for the world, and neighbours whose every answer is made here.

About some hosts a neighbour says what a test has it say; about any other it tells the truth.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import strategies as st

from memleash_responder import settings
from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.adapters.exporter import ExporterClient
from memleash_responder.adapters.http import client as http
from memleash_responder.adapters.prometheus import PrometheusClient
from memleash_responder.controller_settings import HttpControllerSettings
from tests.unit.usecases.outside import LIMIT, Node
from tests.unit.usecases.world import AGENT, World

CONTROLLER = HttpControllerSettings(
    name="mn-1",
    drain_url="http://controller/{host}/drain",
    undrain_url="http://controller/{host}/undrain",
    tasks_url="http://controller/{host}/tasks",
    reconnect_url="http://controller/{host}/reconnect",
)


class Neighbours:
    """Exporters, Prometheus and a controller, behind the real clients."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rubbish: dict[tuple[str, str], bytes] = {}
        """By neighbour (exporter, prometheus, controller) and host: what it says instead."""
        self._world = world
        outside = world.services.outside
        for name, client in {
            "exporter": ExporterClient(settings.Exporter()),
            "prometheus": PrometheusClient(settings.Prometheus()),
            "controllers": ControllerClients((CONTROLLER,)),
        }.items():
            object.__setattr__(outside, name, client)
        monkeypatch.setattr(http, "request", self._request)

    def _request(self, _session: object, method: str, url: str, **how: Any) -> http.Answer:
        about = url + str(how.get("params", ""))
        (host,) = set(re.findall(r"node-\d+", about))
        neighbour, truth = self._truth(url, about, self._world.nodes[host])
        body = self.rubbish.get((neighbour, host), truth).replace(b"node-1", host.encode())
        return http.Answer(200, {}, body, f"{method} {url}")

    def _truth(self, url: str, about: str, node: Node) -> tuple[str, bytes]:
        if url.startswith("http://controller/"):
            node.drained = url.endswith("/drain") or (node.drained and not url.endswith("undrain"))
            return "controller", json.dumps({"running": [], "pending": []}).encode()
        if "/api/v1/query" in url and "ALERTS" in about:
            alive = {"metric": {"memleash_part": "alive"}, "value": [self._world.clock.now(), "1"]}
            data = {"resultType": "vector", "result": [alive]}
            return "pings", json.dumps({"status": "success", "data": data}).encode()
        if "/api/v1/query" in url:
            return "prometheus", json.dumps(limit_of(node.name, self._world.clock.now())).encode()
        return "exporter", exposition(node).encode()


def exposition(node: Node) -> str:
    """Return what a host's exporter says truly."""
    values = {
        "up": int(node.up),
        "start_time_seconds": node.life,
        "resident_memory_bytes": node.resident_bytes,
        "busy": int(node.busy or 0),
        "ready": int(node.ready),
    }
    lines = [f'memleash_agent_{name}{{agent="{AGENT}"}} {value}' for name, value in values.items()]
    return "\n".join([*lines, ""])


def limit_of(host: str, now: float) -> dict[str, Any]:
    """Return what Prometheus truly says of a host's hard limit."""
    labels = {"host": host, "agent": AGENT}
    result = [
        {"metric": labels | {"memleash_part": part}, "value": [now, value]}
        for part, value in (("value", str(LIMIT)), ("age", "3"))
    ]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


# -- rubbish -----------------------------------------------------------------------------------

WORDS = [
    "9" * 400,
    "-" + "9" * 400,
    "NaN",
    "+Inf",
    "-Inf",
    "1_000",
    " 7",
    "0x10",
    "",
    "\u0667",
    "\ud800",
]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from([10**400, -(10**400), 1e308, *WORDS]),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3)
    ),
    max_leaves=6,
)
BYTES = st.binary(max_size=50) | st.sampled_from(
    [
        b"",
        b"[" * 100_000,
        b'{"running": [' + b"{}," * 50_000 + b"{}]}",
        b"{" * 500,
        b"\xff\xfe",
        b"1" * 5000,
    ]
)


@st.composite
def damaged(draw: st.DrawFn, good: Any) -> bytes:
    """Return good JSON in which one place, or all of it, holds rubbish."""
    tree = {"all": copy.deepcopy(good)}
    node, key = draw(st.sampled_from(list(_places(tree))))
    node[key] = draw(VALUES)
    return json.dumps(tree["all"]).encode()


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys = range(len(tree)) if isinstance(tree, list) else tree
    for key in keys:
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])


@st.composite
def expositions(draw: st.DrawFn, good: bytes) -> bytes:
    """Return a good scrape of which one line holds rubbish."""
    lines = good.decode().splitlines()
    at = draw(st.integers(0, len(lines) - 1))
    name, _, value = lines[at].rpartition(" ")
    wild = draw(st.sampled_from(WORDS) | st.floats().map(str) | st.integers().map(str))
    moment = draw(st.sampled_from(["", *WORDS, "1700000000000"]))
    lines[at] = draw(
        st.sampled_from(
            [
                f"{name} {wild}",
                f"{name} {value} {moment}",
                name,
                f"{name[:-3]} {value}",
                wild,
                f"{name} {value}\n{name} {wild}",
                f"other_metric {wild} {moment}\n{lines[at]}",
            ]
        )
    )
    return "\n".join([*lines, ""]).encode("utf-8", "surrogatepass")
