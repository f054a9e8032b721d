"""The kind http: the conformance suite, against a shim as docs/controllers.md asks for one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import pytest

from demo.http_server import Raw, Reply, Request, as_json, serving
from memleash_responder.controller_settings import HttpControllerSettings
from memleash_responder.core.facts import Host
from memleash_toolkit.values import Duration
from tests.contract.controllers.conformance import *  # noqa: F403

HANGS_AFTER = Duration(0.2)

# A bearer token or password is read at each use: nothing of it expires.
del test_an_expired_login_is_renewed  # noqa: F821
# 404 is an answer here: the host is not one of this controller's. See test_controller_protocol.
del test_what_cannot_be_told_of_an_unknown_host_is_unknown  # noqa: F821
del test_a_controller_that_does_not_know_the_host_fails_its_check  # noqa: F821


class Shim:
    """What stands between the responder and a controller with one host, ``node-1``."""

    def __init__(self, url: str) -> None:
        self.settings = HttpControllerSettings(
            "shim",
            drain_url=url + "/hosts/{host}/drain",
            undrain_url=url + "/hosts/{host}/undrain",
            tasks_url=url + "/hosts/{host}/tasks",
            reconnect_url=url + "/reconnect",
            state_url=url + "/hosts/{host}/state",
        )
        self.host = Host("node-1", "127.0.0.1:1", "node-1", {"host": "node-1"})
        self.unknown = Host("node-2", "127.0.0.1:1", "node-2", {"host": "node-2"})
        self._running: list[str] = []
        self._pending: list[str] = []
        self._drained_by = ""
        self._maintenance = False
        self._node_is_down = False
        self._hangs = False
        self._slow = 0.0
        self._halved = False
        self._polls = 0
        self._refuses = False
        self._reconnects = 0

    # -- the driver -------------------------------------------------------------------------------

    def run_task(self, name: str) -> None:
        self._running.append(name)

    def queue_task(self) -> None:
        self._pending.append("start-vm-8")

    def is_drained(self) -> bool:
        return bool(self._drained_by)

    def drain_by_somebody(self) -> None:
        self._drained_by = "an administrator"

    def begin_maintenance(self) -> None:
        self._maintenance = True

    def is_in_maintenance(self) -> bool:
        return self._maintenance

    def kill_node(self) -> None:
        self._node_is_down = True

    def hang(self) -> None:
        self.settings = dataclasses.replace(self.settings, timeout=HANGS_AFTER)
        self._hangs = True

    def slow_down(self) -> None:
        self._slow = 0.05

    def expire_login(self) -> None:
        raise AssertionError("it has none")

    def halve_answers(self) -> None:
        self._halved = True

    def take_long(self) -> None:
        self._polls = 3

    def refuse_reconnects(self) -> None:
        self._refuses = True

    def restart_agent_on_reconnect(self) -> None:
        """It makes no difference here: the answer is the same."""

    def reconnects(self) -> int:
        return self._reconnects

    # -- the shim ---------------------------------------------------------------------------------

    def answer(self, asked: Request) -> Reply | Raw:
        if self._hangs:
            return Raw(hang=True)
        time.sleep(self._slow)
        match asked.route.strip("/").split("/"):
            case ["hosts", "node-1", "tasks"]:
                return self._tasks()
            case ["hosts", "node-1", "state"]:
                said = {"state": "maintenance" if self._maintenance else "connected"}
                return as_json({"since": 7} if self._halved else said)
            case ["hosts", "node-1", "drain"]:
                return self._drain()
            case ["hosts", "node-1", "undrain"]:
                if self._drained_by == "memleash":
                    self._drained_by = ""
                return as_json({})
            case ["reconnect"] | ["reconnects", "node-1"]:
                return self._reconnect(asked)
        return Reply(404, b"no such host")

    def _tasks(self) -> Reply:
        if self._node_is_down:
            return Reply(503, b"mn-2 does not answer")
        if self._halved:
            return as_json({"total": 1})
        running = [{"id": str(at), "name": name} for at, name in enumerate(self._running)]
        return as_json({"running": running, "pending": self._pending})

    def _drain(self) -> Reply:
        if self._maintenance:
            return Reply(409, b"in maintenance")
        self._drained_by = self._drained_by or "memleash"
        return as_json({})

    def _reconnect(self, asked: Request) -> Reply:
        if asked.method == "POST":
            self._reconnects += 1
        if self._refuses:
            return Reply(502, b"the agent does not answer")
        if self._polls > 0:
            self._polls -= 1
            return Reply(202, b"", {"Location": "/reconnects/node-1", "Retry-After": "0"})
        return as_json({"state": "connected"})


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shim]:
    http = "memleash_responder.adapters.controllers.http"
    monkeypatch.setattr(f"{http}._SHORTEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(f"{http}._TRY_AGAIN_SECONDS", 0.05)
    shims: list[Shim] = []

    def answer(asked: Request) -> Reply | Raw:
        return shims[0].answer(asked)

    with serving(answer) as served:
        shims.append(Shim(served.url))
        yield shims[0]
