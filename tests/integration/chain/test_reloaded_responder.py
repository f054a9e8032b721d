"""The configuration is read again in the middle of a restart, which goes on to its end."""

from __future__ import annotations

import os
import signal

import pytest
import yaml

from demo.stack.http import get
from demo.stack.layout import Pace
from demo.stack.observer import Observer
from demo.stack.processes import wait_until
from demo.stack.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.executed]


@pytest.fixture
def pace() -> Pace:
    """An agent slow to answer: the reload surely comes between its start and its readiness."""
    return Pace(start_delay_seconds=8.0)


def _read_at(stack: Stack) -> float:
    """Return when the responder last took a configuration, as it tells."""
    name = "memleash_responder_config_last_reload_success_timestamp_seconds "
    lines = str(get(stack.layout.url("responder", "/metrics"))).splitlines()
    return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.mark.parametrize("tools", ["stable"], indirect=True)
def test_a_reload_in_the_middle_of_a_restart_loses_nothing(stack: Stack) -> None:
    observer = Observer(stack.layout)
    config_file = stack.layout.folder / "responder.yml"
    stack.agent_does("grow", to_mib=210)
    wait_until("the restart command to run", lambda: len(observer.starts()) == 2)

    config = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    config["agents"][stack.layout.agent] |= {"mode": "observe", "restart_command": "false"}
    config_file.write_text(yaml.safe_dump(config), encoding="utf-8")
    before = _read_at(stack)
    os.kill(stack.programs["responder"].pid, signal.SIGHUP)
    wait_until("the configuration to be read", lambda: _read_at(stack) > before)
    assert observer.restarts()[0]["outcome"] is None, "it is still under way"

    wait_until(
        "the restart to end", lambda: observer.restart_with("restarted"), seen=observer.restarts
    )
    assert len(observer.starts()) == 2
    assert observer.host_state() == "connected"
