"""slurmd and salt-minion, restarted over SSH under their units, with their real controllers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.stack.tools import Tools
from tests.e2e.hosts.controlled import (
    MINION,
    NODE,
    SLURMD,
    UNITS,
    Controlled,
    running_controlled,
    state_of_host,
)
from tests.support.stacks import find_or_skip

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

_TOO_LOW = {SLURMD: "1MiB", MINION: "64MiB"}
"""Limits that a new agent is over."""


@pytest.fixture(scope="module")
def stable() -> Tools:
    return find_or_skip("stable")


@pytest.fixture(scope="module")
def controlled(
    images: dict[str, str], stable: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Controlled]:
    folder = tmp_path_factory.mktemp("controlled")
    with running_controlled(images["controlled"], stable, folder) as controlled:
        yield controlled


def _limits(controlled: Controlled, agent: str, hard_limit: str) -> dict[str, object]:
    return {**controlled.agents[agent]["limits"], "hard_limit": hard_limit}


def test_slurmd_is_restarted_and_the_job_that_runs_survives(controlled: Controlled) -> None:
    machine, slurm = controlled.machine, controlled.slurm
    unit = UNITS[SLURMD]

    def jobs() -> str:
        return slurm("squeue", "-h", "-o", "%j %T").strip()

    def node() -> str:
        return slurm("scontrol", "show", "node", NODE).partition(" State=")[2].split()[0]

    controlled.until("an idle node", lambda: node() == "IDLE")
    wrapped = "while [ ! -e /tmp/go ]; do sleep 0.1; done; touch /tmp/done"
    slurm("sbatch", "-J", "simulation", "-D", "/tmp", "--wrap", wrapped)
    controlled.until("the job to run", lambda: jobs() == "simulation RUNNING")
    starts = len(machine.starts(unit))

    controlled.change_controller("hpc", count=["configuring", "completing", "running"])
    limits = _limits(controlled, SLURMD, _TOO_LOW[SLURMD])
    controlled.change_agent(SLURMD, limits=limits)
    refused = controlled.until(
        "the refusal", lambda: controlled.restart_with(SLURMD, "tasks_running")
    )
    assert "simulation (running)" in refused["reason"]
    assert len(machine.starts(unit)) == starts

    controlled.change_controller("hpc", count=["configuring", "completing"])
    controlled.until("the restart", lambda: controlled.restart_with(SLURMD, "restarted"))
    controlled.change_agent(SLURMD, limits=_limits(controlled, SLURMD, "0"))
    assert len(machine.starts(unit)) == starts + 1
    assert machine.restart_commands(unit) == 1
    assert jobs() == "simulation RUNNING"
    controlled.until("the node to be in use", lambda: node() in ("MIXED", "ALLOCATED"))
    assert state_of_host(controlled) == "connected"
    machine.run("touch", "/tmp/go")
    controlled.until("the job to end", lambda: jobs() == "")
    machine.run("test", "-e", "/tmp/done")


def test_a_salt_minion_is_restarted_when_its_state_has_been_applied(
    controlled: Controlled,
) -> None:
    machine, salt = controlled.machine, controlled.salt
    unit = UNITS[MINION]
    controlled.until("the minion", lambda: salt.run("test.ping") is True)
    salt.run("grains.setval", "role", "web")
    salt.apply("web")
    starts, pid = len(machine.starts(unit)), salt.run("grains.get", "pid")

    busy = controlled.agents[MINION]["busy"]
    limits = _limits(controlled, MINION, _TOO_LOW[MINION])
    controlled.change_agent(MINION, busy=[{"markers": {}}], limits=limits)
    refused = controlled.until(
        "the refusal", lambda: controlled.restart_with(MINION, "tasks_running")
    )
    assert "state.apply web" in refused["reason"]
    assert len(machine.starts(unit)) == starts

    controlled.change_agent(MINION, busy=busy)
    metric = f'memleash_agent_busy{{agent="{MINION}"}}'
    controlled.until("it to be busy", lambda: controlled.observer.query(metric) == 1)
    salt.hold.unlink()
    controlled.until("a job to be refused", salt.is_in_blackout)
    controlled.until("the restart", lambda: controlled.restart_with(MINION, "restarted"))
    controlled.change_agent(MINION, limits=_limits(controlled, MINION, "0"))
    assert len(machine.starts(unit)) == starts + 1
    assert machine.restart_commands(unit) == 1
    controlled.until("work to be taken", lambda: not salt.is_in_blackout())
    assert salt.blackout() == {"minion_blackout": "", "minion_blackout_whitelist": ""}
    assert salt.run("grains.get", "pid") != pid
    assert salt.run("grains.get", "role") == "web"
    assert state_of_host(controlled) == "connected"
