"""The shim in docs/controllers.md, run as it stands there, against our own client."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.controller_settings import HttpControllerSettings
from memleash_responder.core.facts import Host, Task, Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.errors import ControllerError, ReconnectFailed

PAGE = Path(__file__).parents[3] / "docs" / "controllers.md"
HOST = Host("node-1", "127.0.0.1:1", "node-1", {"host": "node-1"})
NODE_2 = Host("node-2", "127.0.0.1:1", "node-2", {"host": "node-2"})


@pytest.fixture
def shim() -> Iterator[dict[str, Any]]:
    """The shim's own names, served; ``clients`` speaks to it."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    names: dict[str, Any] = {"__name__": "shim"}
    exec(compile(found[1], str(PAGE), "exec"), names)
    server = make_server("127.0.0.1", 0, names["app"], threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    controller = HttpControllerSettings(
        name="shim",
        drain_url=url + "/hosts/{host}/drain",
        undrain_url=url + "/hosts/{host}/undrain",
        tasks_url=url + "/hosts/{host}/tasks",
        reconnect_url=url + "/reconnect",
        state_url=url + "/hosts/{host}/state",
    )
    names["clients"] = ControllerClients((controller,), lambda: (HOST, NODE_2))
    yield names
    server.shutdown()
    thread.join()
    server.server_close()


def failing(_: str) -> None:
    raise RuntimeError("the controller behind is down")


def test_the_shim_speaks_the_protocol(shim: dict[str, Any]) -> None:
    calls: list[tuple[str, str]] = []
    for name in ("drain", "undrain", "reconnect"):
        shim[name] = lambda host, name=name: calls.append((name, host))
    clients = shim["clients"]
    clients.drain(HOST, "kvm", "restart-1")
    clients.reconnect(HOST, "kvm", "restart-1", timeout_seconds=5)
    clients.undrain(HOST, "kvm", "restart-1")
    assert calls == [("drain", "node-1"), ("reconnect", "node-1"), ("undrain", "node-1")]


@pytest.mark.parametrize(
    ("word", "told"),
    [("maintenance", (HostState.MAINTENANCE,)), (None, ()), ("connected", (HostState.CONNECTED,))],
)
def test_the_shims_states_are_understood(
    shim: dict[str, Any], word: str | None, told: tuple[HostState, ...]
) -> None:
    shim["state"] = lambda _: word
    assert tuple(one.state for one in shim["clients"].states(HOST)) == told


@pytest.mark.parametrize(
    ("listed", "running"),
    [([], ()), (None, ()), ([{"id": "7", "name": "dump"}], (Task("7", "dump"),))],
)
def test_the_shims_tasks_are_understood(shim: dict[str, Any], listed: Any, running: Any) -> None:
    shim["running_tasks"] = lambda host: listed if host == "node-1" else []
    (said,) = shim["clients"].tasks(HOST, "kvm")
    assert said.running == running


def test_a_shim_that_cannot_tell_refuses(shim: dict[str, Any]) -> None:
    for name in ("drain", "running_tasks", "reconnect"):
        shim[name] = failing
    clients = shim["clients"]
    with pytest.raises(ControllerError, match="answered 500"):
        clients.drain(HOST, "kvm", "restart-1")
    (said,) = clients.tasks(HOST, "kvm")
    assert isinstance(said.running, Unknown)
    with pytest.raises(ReconnectFailed, match="answered 500"):
        clients.reconnect(HOST, "kvm", "restart-1", timeout_seconds=5)
