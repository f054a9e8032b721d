"""A real responder and a real Alertmanager, with a proxy between them that a test can spoil."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
import yaml

from demo.stack.http import call
from demo.stack.ports import free_port
from demo.stack.processes import wait_until
from demo.stack.responder import UNUSED, Responder, alert, responder
from tests.contract.adapters.peer import Asked, Peer, Raw, Reply
from tests.integration.adapters import neighbours
from tests.integration.adapters.neighbours import Alertmanager
from tests.integration.mutes.nodes import AGENT, GIB, Node

ALERTMANAGER_CONFIG = "route: {receiver: people}\nreceivers: [{name: people}]\n"
QUICK = {"base": "3s", "longest": "6s", "max_hold": "1h", "tail": "1s", "interval": "1s"}
UNHURRIED = {"tail": "2s", "interval": "1s"}
"""The deadlines of the defaults, looked at every second."""

Json = Any


@dataclass
class Hold:
    """The request at which the proxy holds still, before or after it is passed on."""

    is_it: Callable[[Asked], bool]
    passed_on: bool
    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Stands before an Alertmanager; passes everything on until it is told otherwise."""

    def __init__(self, peer: Peer, url: str) -> None:
        self._peer, self._url = peer, url
        self.url = peer.url
        self.hold: Hold | None = None
        self.spoilt: list[Reply | Raw] = []
        """What the next POSTs and DELETEs are answered after they were passed on."""
        self.hangs = False
        peer.answer = self._answer

    def hold_at(self, method: str, about: str = "", *, passed_on: bool) -> Hold:
        """Hold still at the next request of ``method`` whose path or body names ``about``."""

        def is_it(asked: Asked) -> bool:
            return asked.method == method and about in asked.path + asked.body.decode()

        self.hold = Hold(is_it, passed_on)
        return self.hold

    def asked(self, method: str) -> int:
        """Return how often ``method`` was asked for."""
        return sum(one.method == method for one in self._peer.asked)

    def _answer(self, asked: Asked) -> Reply | Raw:
        if self.hangs:
            return Raw(hang=True)
        hold = self.hold if self.hold and self.hold.is_it(asked) else None
        if hold is not None:
            self.hold = None
        if hold is not None and not hold.passed_on:
            return _held(hold)
        try:
            real = requests.request(
                asked.method,
                self._url + asked.path,
                data=asked.body,
                headers={"Content-Type": "application/json"},
                timeout=60,
            )
        except requests.RequestException:
            return Raw()  # as if it were down itself
        if hold is not None:
            return _held(hold)
        if asked.method != "GET" and self.spoilt:
            return self.spoilt.pop(0)
        return Reply(real.status_code, real.content)


def _held(hold: Hold) -> Raw:
    hold.reached.set()
    hold.go.wait(60)
    return Raw()


@dataclass
class Site:
    """Everything, and what it says."""

    folder: Path
    alertmanager: Alertmanager
    proxy: Proxy
    responder: Responder
    config: dict[str, Any]
    cleanup: contextlib.ExitStack
    nodes: dict[str, Node] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    # -- hosts and settings -------------------------------------------------------------------

    def add(self, **says: Any) -> Node:
        """Return a new host of the inventory."""
        node = self.cleanup.enter_context(Node(f"node-{next(self._numbers)}").running())
        for name, value in says.items():
            setattr(node, name, value)
        self.nodes[node.name] = node
        self.write_inventory()
        return node

    def write_inventory(self) -> None:
        """Write the hosts there are now, in one go."""
        file = self.folder / "hosts.yml"
        fresh = file.with_suffix(".new")
        fresh.write_text(yaml.safe_dump([node.group() for node in self.nodes.values()]))
        fresh.replace(file)

    def clear(self) -> None:
        """Take every host out of the inventory; the responder ends their mutes meanwhile."""
        self.nodes.clear()
        self.write_inventory()

    def use(self, mute: dict[str, Any]) -> None:
        """Have the responder take up other settings of mutes."""
        if self.config["mute"] == mute:
            return
        self.config["mute"] = mute
        file = self.folder / "responder.yml"
        file.write_text(yaml.safe_dump(self.config))
        requests.post(f"{self.responder.url}/-/reload", timeout=60).raise_for_status()

    # -- what happens -------------------------------------------------------------------------

    def tell(self, node: Node, status: str = "firing") -> None:
        """Tell the responder that AgentBusy began or ended on ``node``."""
        number = abs(hash(node.name)) % 2**63
        labels = {"alertname": "AgentBusy", "remediation": "mute"}
        told = alert(number, host=node.name, agent=AGENT, status=status, **labels)
        assert self.responder.tell(told) in (200, 202)

    def gets_busy(self, node: Node) -> Json:
        """Let the node get busy; return the one silence that comes of it."""
        node.busy = 1
        self.tell(node)
        return self.one_silence(node)

    def unmute(self, node: Node) -> int:
        """End the node's mute by hand; return the status of the answer."""
        url = f"{self.responder.url}/api/v1/mutes/{node.name}"
        return requests.delete(url, timeout=60).status_code

    def begin_maintenance(self, node: Node, reason: str) -> None:
        """Take the node out of service, as a person does."""
        call("PUT", self._maintenance(node), {"reason": reason, "for": "1h"})

    def end_maintenance(self, node: Node) -> None:
        """Put the node back into service, as a person does."""
        call("DELETE", self._maintenance(node))

    def _maintenance(self, node: Node) -> str:
        return f"{self.responder.url}/api/v1/hosts/{node.name}/maintenance"

    def restart_responder(self) -> None:
        """Kill the responder as a power cut does, and start it again."""
        self.responder.program.kill()
        self.responder.program.start()

    # -- what is seen -------------------------------------------------------------------------

    def mute(self, node: Node) -> Json:
        return self.responder.get(f"/api/v1/hosts/{node.name}/mute")

    def until(self, node: Node) -> float | None:
        """Return the last muted second as unix time."""
        until = self.mute(node)["until"]
        return datetime.fromisoformat(until).timestamp() if until else None

    def silences(self, node: Node | None = None, *states: str) -> list[Json]:
        """Return memleash's silences, by Alertmanager's word; the active ones by default."""
        listed = requests.get(f"{self.alertmanager.url}/api/v2/silences", timeout=60).json()
        return [
            one
            for one in listed
            if one["status"]["state"] in (states or ("active", "pending"))
            and one["createdBy"] == "memleash"
            and (node is None or host_of(one) == node.name)
        ]

    def one_silence(self, node: Node) -> Json:
        """Wait for the node's silence and return it; there must never be two."""

        def look() -> Json:
            found = self.silences(node)
            assert len(found) <= 1, found
            return found[0] if found else None

        return wait_until(f"a silence of {node.name}", look)

    def renewals(self, node: Node, count: int) -> list[float]:
        """Return the ends of the node's one silence over ``count`` renewals of it.

        The agent grows by a step each time: else a quarter of ``base`` goes by between two of them.
        """
        ends: list[float] = []

        def look() -> bool:
            end = ends_at(self.one_silence(node))
            if end not in ends:
                ends.append(end)
                node.resident_bytes += 4 * GIB
            return len(ends) > count

        wait_until(f"{count} renewals", look, seen=lambda: ends)
        return ends

    def no_silence(self, node: Node, *, timeout_seconds: float = 40) -> None:
        """Wait until the node has no silence."""
        wait_until(
            f"no silence of {node.name}",
            lambda: not self.silences(node),
            timeout_seconds=timeout_seconds,
            seen=lambda: (self.silences(node), self.mute(node)),
        )


def host_of(silence: Json) -> str | None:
    """Return the host that a silence is about."""
    return next((str(one["value"]) for one in silence["matchers"] if one["name"] == "host"), None)


def ends_at(silence: Json) -> float:
    """Return when a silence ends, unix time."""
    return datetime.fromisoformat(silence["endsAt"]).timestamp()


@contextlib.contextmanager
def running(folder: Path, age: str, **changes: Any) -> Iterator[Site]:
    """Run a responder with an Alertmanager of ``age`` behind a proxy."""
    with contextlib.ExitStack() as cleanup:
        alertmanager = neighbours.alertmanager(cleanup, folder / "am", age, ALERTMANAGER_CONFIG)
        alertmanager.start()
        peer = cleanup.enter_context(Peer().running())
        config = {
            "database": f"sqlite:///{folder / 'responder.db'}",
            "inventory": {"files": [str(folder / "hosts.yml")]},
            "prometheus": {"url": f"http://{UNUSED}"},
            "alertmanager": {"urls": [peer.url], "timeout": "10s"},
            "agents": {AGENT: {"restart_command": "false"}},
            "exporter": {"timeout": "2s"},
            "mute": UNHURRIED,
            **changes,
        }
        (folder / "hosts.yml").write_text("[]")
        one = responder(folder, free_port(), config)
        cleanup.callback(one.program.stop)
        one.program.start()
        yield Site(folder, alertmanager, Proxy(peer, alertmanager.url), one, config, cleanup)
