"""A replica is killed, or frozen and woken, in the middle of a restart: another takes over, once.

Kill and freeze come at each step's beginning and end; the service's own log counts the restarts.
"""

from __future__ import annotations

import os
import signal

import pytest

from demo.stack.processes import wait_until
from responder.core.outcomes import Step
from tests.integration.replicas.conftest import Site
from tests.support.responder import Responder, alert

pytestmark = pytest.mark.integration

STEPS = [step for step in Step if step is not Step.DIAGNOSE]
POINTS = [
    *(f"{moment}-{step}" for step in STEPS for moment in ("before", "after")),
    "before-exec",
]

AROUND_EFFECTS = ["before-hold", "after-hold", "before-exec", "after-restart", "before-release"]


def halted_in_a_restart(site: Site, point: str) -> tuple[Responder, Responder]:
    """Return a replica that halted at ``point`` of a restart, and another that is up."""
    first = site.replica("first", halt_at=point)
    site.over_the_limit()
    about = alert(1, host=site.stack.site.host, agent=site.stack.site.agent)
    assert first.tell(about) == 202
    wait_until(f"the first replica to halt at {point}", site.halted.exists, seen=site.outcomes)
    return first, site.replica("second")


def is_restarted_once(site: Site) -> None:
    wait_until(
        "the restart to end",
        lambda: "open" not in site.outcomes(),
        timeout_seconds=60,
        seen=site.outcomes,
    )
    assert site.outcomes() == ["restarted"]
    assert site.starts() == 2  # the first start, and one restart
    assert site.observer.controller_calls().count("undrain") >= 1


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_replicas_restart_is_finished_by_another(site: Site, point: str) -> None:
    first, _second = halted_in_a_restart(site, point)
    first.program.kill()
    is_restarted_once(site)


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
    assert second.get(f"/api/v1/hosts/{site.stack.site.host}")["state"] == "connected"


def test_a_replica_that_is_frozen_for_a_moment_goes_on_by_itself(site: Site) -> None:
    first, _second = halted_in_a_restart(site, "before-exec")
    os.kill(first.program.pid, signal.SIGSTOP)
    site.go.touch()
    os.kill(first.program.pid, signal.SIGCONT)
    is_restarted_once(site)
    assert first.program.running()
