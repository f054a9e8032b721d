"""The eight steps of the demo, as a test: each of them is checked by the story itself."""

from __future__ import annotations

import pytest

from demo.narration import Narrator
from demo.stack.http import get
from demo.stack.observer import Observer
from demo.stack.stack import Stack
from demo.story import Story

pytestmark = [pytest.mark.integration, pytest.mark.executed]


def test_a_leaking_dumping_agent_is_muted_spared_in_a_task_and_restarted_once(
    stack: Stack,
) -> None:
    Story(stack, Narrator()).tell()

    observer = Observer(stack.layout)
    outcomes = {each["outcome"] for each in observer.restarts()}
    # After the restart the alert of the old life may be told once more before it resolves.
    assert outcomes <= {"tasks_running", "restarted", "already_restarted", "startup_grace"}
    calls = observer.controller_calls()
    assert calls.count("reconnect") == 1
    # At its start the responder asks about a host that is there and one that is not.
    assert calls[: calls.index("drain")] == ["tasks", "tasks"]
    held = calls[calls.index("drain") :]
    assert held.index("tasks") < held.index("reconnect")
    assert calls.count("drain") == calls.count("undrain")
    exposed = get(stack.layout.url("responder", "/metrics"))
    assert f'restarts_total{{agent="{stack.layout.agent}",outcome="restarted"}} 1' in exposed
