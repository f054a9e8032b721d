"""The responder dies in the middle of a restart, and comes back."""

from __future__ import annotations

import pytest

from demo.stack.http import answers
from demo.stack.layout import Pace
from demo.stack.observer import Observer
from demo.stack.processes import wait_until
from demo.stack.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.executed]


@pytest.fixture
def pace() -> Pace:
    """An agent slow to answer: on a loaded machine, too, the kill comes before it is ready."""
    return Pace(start_delay_seconds=15.0)


@pytest.mark.parametrize("tools", ["stable"], indirect=True)
def test_killed_between_restart_and_ready_it_ends_restarted_with_one_restart(stack: Stack) -> None:
    observer = Observer(stack.layout)
    responder = stack.programs["responder"]
    first_pid = observer.agent_pid()
    stack.agent_does("grow", to_mib=210)
    wait_until("the restart command to run", lambda: len(observer.starts()) == 2)

    responder.kill()
    assert not answers(stack.layout.url("agent", "/host/echo"))  # the new life is not ready yet
    responder.start()

    # Its pings fail until the agent first answers, and a request of that time is refused.
    restart = wait_until(
        "the workflow to end",
        lambda: next(
            (one for one in observer.restarts() if one["command_sent_at"] and one["outcome"]), None
        ),
        seen=observer.restarts,
    )
    assert restart["outcome"] == "restarted"
    assert len(observer.starts()) == 2
    assert observer.agent_pid() != first_pid
    assert observer.controller_calls().count("reconnect") == 1
    assert observer.host_state() == "connected"
    wait_until("no silence to be left", lambda: not observer.silences(), seen=observer.silences)
