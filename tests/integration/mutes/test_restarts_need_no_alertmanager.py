"""A restart mutes its host's pings when it can, and goes on when it cannot."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from demo.stack import configs
from demo.stack.http import answers
from demo.stack.layout import Pace
from demo.stack.observer import Observer
from demo.stack.processes import wait_until
from demo.stack.stack import Stack, prepared
from demo.stack.tools import find

pytestmark = pytest.mark.integration

NEEDED = ("controller", "exporter", "prometheus", "sshd", "responder")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A host and its responder, and Alertmanager only if a test starts it."""
    with prepared(find(), tmp_path / "stack", Pace(start_delay_seconds=2.0)) as stack:
        service = (configs.SERVICE_SCRIPT, stack.layout.service, "start")
        subprocess.run(service, check=True, stdout=subprocess.DEVNULL)
        for name in NEEDED:
            stack.programs[name].start()
        wait_until("the agent to answer", lambda: answers(stack.layout.url("agent", "/host/echo")))
        yield stack


def _ask_for_restart(stack: Stack) -> None:
    stack.agent_does("grow", to_mib=210)
    url = stack.layout.url("responder", "/api/v1/restarts")
    body = {"host": stack.layout.host, "agent": stack.layout.agent}
    wait_until(
        "the request to be taken",
        lambda: requests.post(url, json=body, timeout=60).json().get("outcome") is None,
    )


def _restarted(observer: Observer) -> bool:
    wait_until(
        "the restart to end",
        lambda: observer.restart_with("restarted"),
        seen=observer.restarts,
    )
    return observer.host_state() == "connected"


def _targets(observer: Observer) -> list[str]:
    return [one["labels"]["host"] for one in observer.ping_targets()]


def test_with_alertmanager_down_a_restart_succeeds_and_the_host_is_still_not_pinged(
    stack: Stack,
) -> None:
    observer = Observer(stack.layout)
    _ask_for_restart(stack)
    wait_until("the host to be muted", lambda: stack.layout.host not in _targets(observer))
    assert _restarted(observer)
    wait_until("pings again", lambda: stack.layout.host in _targets(observer))
    stack.programs["alertmanager"].start()
    wait_until("no silence", lambda: not observer.silences(), seen=observer.silences)


def test_a_restart_mutes_its_host_until_it_ends(stack: Stack) -> None:
    stack.programs["alertmanager"].start()
    observer = Observer(stack.layout)
    _ask_for_restart(stack)
    silence = wait_until("the silence", observer.ping_silence)
    assert silence["comment"] == "memleash: sample-agent is being restarted"
    assert _restarted(observer)
    wait_until("its end", lambda: not observer.silences(), seen=observer.silences)
    assert stack.layout.host in _targets(observer)
