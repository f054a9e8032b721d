"""As many guarded restarts as an hour may have, with real agents, sshd and mutes: no growth."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.stack.loopback_hosts import OVER_MIB, PATIENT, QUICK, Fleet, Member, running
from demo.stack.processes import wait_until
from demo.stack.responder import Responder
from memleash_responder.core.policy import Fleet as FleetPolicy
from tests.support.usage import Usage, usage

pytestmark = [pytest.mark.integration, pytest.mark.executed]

HOSTS = [f"node-{number}" for number in range(4)]
GUARDS = {
    "guards": QUICK
    | {"wait_for_idle": "60s", "cooldown": "0s", "max_restarts": 1000, "shrinking_ratio": 0.01}
}
ROUNDS = -(-FleetPolicy().max_restarts_per_hour // len(HOSTS))
"""What the fleet's own limit allows in an hour, over all hosts."""
WARM_UP = 2
"""Rounds in which pools of threads and connections may still get what they keep."""


def test_an_hour_of_restarts_does_not_let_the_responder_grow(tmp_path: Path) -> None:
    members = [Member(host, settings=GUARDS) for host in HOSTS]
    with (
        running(tmp_path, members, patience=PATIENT) as fleet,
        fleet.responder("only") as responder,
    ):
        fleet.start_agents(HOSTS)
        responder.start()
        used: list[Usage] = []
        for done in range(1, ROUNDS + 1):
            restart_all(fleet, responder, done)
            used.append(usage(responder.pid))
        wait_until(
            "it to use no more than after the warm-up, once all that ended is gone",
            lambda: usage(responder.pid).has_not_grown(since=used[WARM_UP - 1]),
            seen=lambda: (used, usage(responder.pid)),
        )


def restart_all(fleet: Fleet, responder: Responder, done: int) -> None:
    """Let every agent leak, and be restarted; ``done`` is how often it is by then."""
    for host in HOSTS:
        fleet.agent_does(host, "grow", to_mib=OVER_MIB)
    responder.alert(*HOSTS)
    wait_until(
        "all agents to be restarted",
        lambda: responder.outcomes() == {"restarted": done * len(HOSTS)},
        seen=responder.outcomes,
    )
    wait_until("no silence", lambda: not any(map(fleet.peers.silenced, HOSTS)))
    for host in HOSTS:
        assert fleet.starts(host) == done + 1
        assert fleet.peers.drained(host) == set()
