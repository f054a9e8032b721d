"""What is wrong or hostile in a notification never becomes a command, and never a lost alert."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.stack.http import CallFailed, Json, get, post
from demo.stack.observer import Observer
from demo.stack.processes import wait_until
from demo.stack.stack import Stack, prepared
from demo.stack.tools import find

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all: nothing in this module may change it, which is what it tests."""
    with prepared(find("stable"), tmp_path_factory.mktemp("hostile") / "stack") as stack:
        stack.start()
        yield stack


def _notification(**labels: str) -> Json:
    alert = {
        "status": "firing",
        "labels": {"alertname": "A", "remediation": "restart", **labels},
        "annotations": {},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{hash(tuple(labels.items())) & 0xFFFFFFFFFFFFFFFF:016x}",
    }
    return {"version": "4", "status": "firing", "receiver": "responder", "alerts": [alert]}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ([], "body"),
        ({"version": "4"}, "alerts"),
        ({"version": "4", "alerts": {"a": 1}}, "alerts"),
        ({"version": "4", "alerts": ["firing"]}, "alerts[0]"),
        ({"version": "4", "alerts": [{"status": "odd"}]}, "alerts[0].status"),
    ],
)
def test_a_body_that_is_no_notification_is_refused_with_the_field_named(
    stack: Stack, body: Json, named: str
) -> None:
    with pytest.raises(CallFailed) as failed:
        post(stack.layout.url("responder", "/api/v1/alertmanager"), body)
    assert failed.value.status == 400
    assert named in failed.value.body


HOSTILE: list[dict[str, Any]] = [
    {},
    {"host": "demo-host"},
    {"agent": "sample-agent"},
    {"host": "", "agent": ""},
    {"host": "elsewhere", "agent": "sample-agent"},
    {"host": "demo-host", "agent": "another"},
    {"host": "demo-host; touch {canary}", "agent": "sample-agent"},
    {"host": "demo-host", "agent": "sample-agent\n$(touch {canary})"},
    {"host": "demo-host", "agent": "'`touch {canary}`\""},
    {"host": "-oProxyCommand=touch {canary}", "agent": "sample-agent"},
    {"host": "127.0.0.1", "agent": "../../sample-agent"},
    {"host": "demo-host", "agent": "x" * 1_000_000},
]


def test_hostile_labels_are_recorded_and_refused_and_no_command_sees_them(
    stack: Stack, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    logged_in_before = _logins(stack)
    counted_before = _counted(stack)
    for labels in HOSTILE:
        filled = {name: value.replace("{canary}", str(canary)) for name, value in labels.items()}
        post(stack.layout.url("responder", "/api/v1/alertmanager"), _notification(**filled))
    wait_until(
        "every one of them to be counted",
        lambda: _counted(stack) >= counted_before + len(HOSTILE),
        seen=lambda: _counted(stack),
    )

    observer = Observer(stack.layout)
    assert observer.host_state() == "connected"
    assert not observer.silences()
    assert len(observer.starts()) == 1
    assert _logins(stack) == logged_in_before
    assert not canary.exists()


def test_a_true_host_and_agent_below_the_limit_are_left_alone(stack: Stack) -> None:
    before = len(Observer(stack.layout).starts())
    body = _notification(host=stack.layout.host, agent=stack.layout.agent)
    body["alerts"][0]["startsAt"] = "2126-01-01T00:00:00Z"
    post(stack.layout.url("responder", "/api/v1/alertmanager"), body)
    observer = Observer(stack.layout)
    wait_until(
        "the refusal", lambda: observer.restart_with("below_hard_limit"), seen=observer.restarts
    )
    assert len(observer.starts()) == before


def _counted(stack: Stack) -> float:
    exposed = get(stack.layout.url("responder", "/metrics"))
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in exposed.splitlines()
        if line.startswith("memleash_responder_alerts_total{")
    )


def _logins(stack: Stack) -> int:
    log = stack.programs["sshd"].log.read_text(encoding="utf-8")
    return log.count("Accepted publickey")
