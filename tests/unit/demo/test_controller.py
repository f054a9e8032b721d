from __future__ import annotations

from typing import Any

import pytest

from demo.controller import Controller
from demo.stack.http import CallFailed, call, get, post

RECONNECT = {"host": "h1", "agent": "a1", "restart_libvirtd": False}


class _Agent:
    """Stands for the agents that the controller probes."""

    def __init__(self) -> None:
        self.ready = True
        self.asked: list[str] = []

    def __call__(self, host: str) -> bool:
        self.asked.append(host)
        return self.ready


def _status(method: str, url: str, body: Any = None) -> int | None:
    with pytest.raises(CallFailed) as failed:
        call(method, url, body)
    return failed.value.status


def test_a_host_it_never_heard_of_is_not_found(serve: Any) -> None:
    url = serve(Controller(_Agent(), hosts=("h2",)).routes())
    assert _status("GET", f"{url}/hosts/h1/tasks") == 404
    assert get(f"{url}/hosts/h2/tasks") == {"running": [], "pending": []}


def test_tasks_are_listed_by_state_until_they_end(serve: Any) -> None:
    url = serve(Controller(_Agent()).routes()) + "/hosts/h1/tasks"
    post(url, {"id": "t1", "name": "migrate"})
    post(url, {"id": "t2", "name": "snapshot", "state": "pending"})
    assert get(url) == {
        "running": [{"id": "t1", "name": "migrate"}],
        "pending": [{"id": "t2", "name": "snapshot"}],
    }
    call("DELETE", f"{url}/t1")
    assert get(url)["running"] == []
    assert _status("DELETE", f"{url}/t1") == 404


def test_a_drained_host_gets_no_new_task_until_it_is_undrained(serve: Any) -> None:
    host = serve(Controller(_Agent()).routes()) + "/hosts/h1"
    post(f"{host}/drain")
    assert _status("POST", f"{host}/tasks", {"id": "t1"}) == 409
    post(f"{host}/undrain")
    assert post(f"{host}/tasks", {"id": "t1"})["state"] == "running"


def test_a_host_is_taken_back_only_when_its_agent_answers(serve: Any) -> None:
    agent = _Agent()
    url = serve(Controller(agent).routes()) + "/reconnect"
    assert post(url, RECONNECT) == {"state": "connected"}
    assert agent.asked == ["h1"]
    agent.ready = False
    assert _status("POST", url, RECONNECT) == 502
    assert _status("POST", url, {"host": "h1"}) == 400


def test_an_asynchronous_reconnect_is_polled_until_the_agent_answers(serve: Any) -> None:
    agent = _Agent()
    agent.ready = False
    base = serve(Controller(agent, asynchronous=True).routes())
    assert post(f"{base}/reconnect", RECONNECT) == {"state": "connecting"}
    assert get(f"{base}/reconnects/h1") == {"state": "connecting"}
    agent.ready = True
    assert get(f"{base}/reconnects/h1") == {"state": "connected"}


def test_a_fault_answers_its_call_until_it_is_taken_away(serve: Any) -> None:
    base = serve(Controller(_Agent()).routes())
    post(f"{base}/hosts/h1/tasks", {"id": "t1"})
    call("PUT", f"{base}/faults", {"tasks": 503})
    assert _status("GET", f"{base}/hosts/h1/tasks") == 503
    call("PUT", f"{base}/faults", {})
    assert len(get(f"{base}/hosts/h1/tasks")["running"]) == 1


def test_the_calls_of_the_protocol_are_kept_in_order(serve: Any) -> None:
    base = serve(Controller(_Agent()).routes())
    post(f"{base}/hosts/h1/undrain")
    post(f"{base}/hosts/h1/tasks", {"id": "t1"})  # not part of the protocol
    post(f"{base}/reconnect", RECONNECT)
    assert [each["call"] for each in get(f"{base}/calls")] == ["undrain", "reconnect"]
