"""Peers may tell as much as they like: what is kept and shown of it stays small."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.stack.processes import wait_until
from demo.stack.responder_with_peers import AGENT, Face, World, face
from tests.contract.adapters.peer import Peer, Reply

pytestmark = pytest.mark.executed

MIB = 1024**2
TASKS = [{"id": str(number), "name": f"migrate vm-{number}"} for number in range(100_000)]


@pytest.fixture(scope="module")
def swamped(tmp_path_factory: pytest.TempPathFactory, world: World) -> Iterator[Face]:
    """A controller that has 100,000 running tasks on every host.

    The allocator has one arena for all threads: of several, each keeps the pages of the first large
    answer that a thread of it reads, so that what a process holds depends on who read when.
    """
    answer = Reply(200, json.dumps({"running": TASKS}).encode())
    with Peer().running() as controller, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MALLOC_ARENA_MAX", "1")
        controller.answer = lambda _: answer
        controllers = [{"name": "mn-1", "tasks_url": f"{controller.url}/{{host}}/tasks"}]
        folder = tmp_path_factory.mktemp("swamped")
        with face(folder, world, mode="enforce", controllers=controllers) as served:
            yield served


def resident_bytes(served: Face) -> int:
    """Return what the process holds in memory."""
    status = Path(f"/proc/{served.program.pid}/status").read_text(encoding="ascii")
    (kibibytes,) = re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kibibytes) * 1024


def refused(served: Face) -> Any:
    """Ask for a restart, and return the request once it has its word."""
    asked = served.ask("POST", "/api/v1/restarts", {"host": "node-1", "agent": AGENT})
    assert asked.status == 202, asked.text

    def ended() -> Any:
        (newest,) = served.ask("GET", "/api/v1/restarts?limit=1").json["restarts"]
        return newest if newest["outcome"] else None

    return wait_until("the request to have its word", ended, timeout_seconds=60)


def test_100_000_tasks_are_a_short_reason_and_small_pages(swamped: Face) -> None:
    request = refused(swamped)
    assert request["outcome"] == "tasks_running"
    assert request["reason"].endswith(" and 99,992 more")
    assert len(request["reason"].encode()) < 1024
    assert len(json.dumps(request)) < 32 * 1024
    for path in ("/", "/restarts", f"/restarts/{request['id']}", "/hosts/node-1"):
        page = swamped.ask("GET", path)
        assert (page.status, len(page.body) < 128 * 1024) == (200, True), path
    log = swamped.program.log.read_text()
    assert max(map(len, log.splitlines())) < 4096


def test_looks_at_100_000_tasks_do_not_make_the_process_grow(swamped: Face) -> None:
    """The allocator may take pages at first. A leak would grow with every ten looks."""

    def grown_by_ten_looks() -> int:
        before = resident_bytes(swamped)
        for _ in range(10):  # each reads an answer of several MiB twice
            path = f"/api/v1/hosts/node-1/agents/{AGENT}/explain"
            assert swamped.ask("GET", path).status == 200
            assert swamped.ask("GET", "/").status == 200
        return resident_bytes(swamped) - before

    assert any(grown_by_ten_looks() < 8 * MIB for _ in range(6))


def test_a_body_that_is_refused_is_not_given_back(swamped: Face) -> None:
    alert = {"status": "firing", "labels": {"x" * MIB: 7}, "startsAt": "2026-01-01T00:00:00Z"}
    for body in ({"version": "4", "alerts": [alert]}, {"version": "5" * MIB, "alerts": []}):
        answer = swamped.ask("POST", "/api/v1/alertmanager", body)
        assert (answer.status, len(answer.body) < 4096) == (400, True)


def test_an_exporter_of_ten_thousand_agents_is_a_short_reason(
    swamped: Face, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = "".join(f'memleash_agent_up{{agent="agent-{n}"}} 1\n' for n in range(10_000))
    monkeypatch.setattr(world, "exposition", lambda: agents)
    told = swamped.ask("GET", f"/api/v1/hosts/node-1/agents/{AGENT}/explain").json
    assert told["verdict"] == "facts_unavailable"
    assert " and 9,992 more" in told["reason"]
