"""A replica is killed in the middle of a restart: another takes over, once.

The kill comes at each step's beginning, between the last look and the command, and after it; the
service's own log counts the restarts.
"""

from __future__ import annotations

import pytest

from demo.stack.replicas import Site, halted_in_a_restart, is_restarted_once
from memleash_responder.core.steps import Step

pytestmark = pytest.mark.integration

POINTS = [
    *(f"before:step:{step}" for step in Step),
    "after:last-look",
    "after:step:restart",
    "after:step:release",
]


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_replicas_restart_is_finished_by_another(site: Site, point: str) -> None:
    first, _second = halted_in_a_restart(site, point)
    first.program.kill()
    is_restarted_once(site)
