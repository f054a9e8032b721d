"""What a check of a controller finds that is wrong; see adapters/controllers/check.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from demo.http_server import Reply, Request, as_json, serving
from memleash_responder.adapters.controllers.check import Finding
from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.controller_settings import HttpControllerSettings
from memleash_responder.core.facts import Host

HOST = Host("node-1", "127.0.0.1:1", "node-1", {"host": "node-1", "zone": "a"})


def checked(
    answer: Callable[[Request], Reply], **changes: Any
) -> tuple[dict[str, Finding], list[str]]:
    """Return what is found by name, and what was asked."""
    asked: list[str] = []

    def answered(request: Request) -> Reply:
        asked.append(f"{request.method} {request.path}")
        return answer(request)

    with serving(answered) as served:
        urls = {
            "tasks_url": served.url + "/tasks/{host}",
            "state_url": served.url + "/state/{host}",
        }
        settings = HttpControllerSettings("c", **{**urls, **changes})
        clients = ControllerClients((settings,), lambda: (HOST,))
        return {one.check: one for one in clients.check("c", HOST, "an-agent")}, asked


def good(request: Request) -> Reply:
    if "memleash-asks.invalid" in request.path:
        return Reply(404)
    return as_json({"running": []} if "tasks" in request.path else {"state": "connected"})


def test_a_good_one_is_only_asked() -> None:
    found, asked = checked(good)
    assert all(one.passes for one in found.values()), found
    assert found["state"].said == "connected"
    assert found["tasks"].said == "none is running"
    assert all(one.startswith("GET ") for one in asked)


@pytest.mark.parametrize(
    ("answer", "failing"),
    [
        (lambda _: as_json({"running": [], "state": "connected"}), {"unknown host", "settings"}),
        (lambda _: as_json({"error": "x"}), {"state", "tasks", "settings"}),
        (lambda _: Reply(404), {"state", "tasks", "settings"}),
        (lambda _: Reply(500), {"state", "tasks", "settings"}),
    ],
    ids=["the same for all", "an error", "404 for all", "500"],
)
def test_what_is_wrong_fails(answer: Callable[[Request], Reply], failing: set[str]) -> None:
    found, _ = checked(answer)
    assert {name for name, one in found.items() if not one.passes} == failing


def test_a_host_that_is_not_its_own_fails() -> None:
    found, _ = checked(good, hosts=('zone="b"',))
    assert "not its own" in found["name"].said
    assert not found["name"].passes


def test_what_it_has_no_url_for_passes_unasked() -> None:
    found, asked = checked(good, tasks_url=None, state_url=None)
    assert all(one.passes for one in found.values())
    assert asked == []
