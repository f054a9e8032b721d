"""A replica is frozen in the middle of a restart, another takes over, and the first wakes up."""

from __future__ import annotations

import os
import signal

import pytest

from demo.stack.processes import wait_until
from demo.stack.replicas import Site, halted_in_a_restart, is_restarted_once

pytestmark = pytest.mark.integration

AROUND_EFFECTS = [
    "before:step:hold",
    "after:step:hold",
    "after:last-look",
    "after:step:restart",
    "before:step:release",
]


@pytest.mark.parametrize("point", AROUND_EFFECTS)
def test_a_frozen_replica_that_wakes_up_does_not_act(site: Site, point: str) -> None:
    first, second = halted_in_a_restart(site, point)
    os.kill(first.program.pid, signal.SIGSTOP)
    is_restarted_once(site)
    calls = site.observer.controller_calls()
    site.go.touch()
    os.kill(first.program.pid, signal.SIGCONT)
    wait_until("the replica that was frozen to end", lambda: not first.program.running())
    assert site.outcomes() == ["restarted"]
    assert site.starts() == 2
    assert site.observer.controller_calls() == calls
    assert second.get(f"/api/v1/hosts/{site.stack.layout.host}")["state"] == "connected"


def test_a_replica_that_is_frozen_for_a_moment_goes_on_by_itself(site: Site) -> None:
    first, _second = halted_in_a_restart(site, "after:last-look")
    os.kill(first.program.pid, signal.SIGSTOP)
    site.go.touch()
    os.kill(first.program.pid, signal.SIGCONT)
    is_restarted_once(site)
    assert first.program.running()
