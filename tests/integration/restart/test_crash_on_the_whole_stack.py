"""The worst moment to die, with real Prometheus and Alertmanager: the command has taken effect,
and nothing of it is recorded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from demo.stack.observer import Observer
from demo.stack.processes import wait_until
from demo.stack.stack import prepared
from demo.stack.tools import find

pytestmark = pytest.mark.integration


def test_killed_after_the_command_and_before_its_record_it_restarts_once(tmp_path: Path) -> None:
    with prepared(find("stable"), tmp_path / "stack") as stack:
        observer, responder = Observer(stack.layout), stack.programs["responder"]
        ours = responder.argv
        faulty = (sys.executable, "-m", "demo.stack.faulty_responder")
        responder.argv = [*faulty, "die", "after:SshClient.run", *ours[1:]]
        stack.start()
        stack.agent_does("grow", to_mib=210)
        wait_until(
            "the responder to kill itself",
            lambda: not responder.running(),
            seen=responder.log_end,
        )
        assert len(observer.starts()) == 2
        responder.argv = ours
        responder.start()
        restart = wait_until(
            "the restart to end",
            lambda: next((one for one in observer.restarts() if one["outcome"]), None),
            seen=observer.restarts,
        )
        assert restart["outcome"] == "restarted"
        assert observer.host_state() == "connected"
        assert len(observer.starts()) == 2, "the service's own log: one restart"
        assert observer.controller_calls()[-1] == "undrain"
        wait_until("no silence to be left", lambda: not observer.silences())
