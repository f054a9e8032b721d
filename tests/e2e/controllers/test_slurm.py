"""The kind slurm: the conformance suite, and what is Slurm's own, against a real Slurm."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack.processes import wait_until
from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.controller_settings import SlurmSettings
from memleash_responder.core.facts import Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.errors import ControllerError, ReconnectFailed
from tests.contract.controllers.conformance import *  # noqa: F403
from tests.contract.controllers.conformance import RESTART, state, tasks
from tests.contract.controllers.driver import AGENT, clients_of
from tests.e2e.controllers.slurm import NODE, Slurm, SlurmDriver, cluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# There is no login: munge signs each call.
del test_an_expired_login_is_renewed  # noqa: F821
# Nothing is asked for at a reconnect; what is waited for is tested below.
del test_a_reconnect_returns_once_the_host_is_connected  # noqa: F821
del test_a_reconnect_may_come_twice  # noqa: F821
del test_a_reconnect_that_takes_long_is_waited_for  # noqa: F821
del test_a_reconnect_that_is_refused_is_not_success  # noqa: F821
del test_a_reconnect_that_restarts_the_agent_is_success  # noqa: F821


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    with cluster(tmp_path / "slurm") as slurm:
        yield slurm


@pytest.fixture
def driver(slurm: Slurm) -> SlurmDriver:
    driver = SlurmDriver(slurm)
    driver.settings = driver.wrapped()
    return driver


def by_default(driver: SlurmDriver) -> ControllerClients:
    counted = SlurmSettings("x").count
    return ControllerClients((dataclasses.replace(driver.settings, count=counted),))


def test_a_job_counts_in_its_epilog_and_not_while_it_runs(driver: SlurmDriver) -> None:
    hold = driver.slurm.folder / "hold"
    hold.touch()
    driver.run_task("simulation")
    clients = by_default(driver)
    assert tasks(clients, driver) == ()
    driver.slurm.run("scancel", "--name", "simulation")
    wait_until("it completes", lambda: driver.slurm.jobs() == {"simulation": "COMPLETING"})
    running = tasks(clients, driver)
    assert isinstance(running, tuple)
    assert [one.name for one in running] == ["simulation (completing)"]
    hold.unlink()
    wait_until("the epilog is over", lambda: tasks(clients, driver) == ())


def test_a_restart_of_slurmd_is_seen_and_its_batch_job_survives(driver: SlurmDriver) -> None:
    done = driver.slurm.folder / "done"
    go = driver.slurm.folder / "go"
    command = f"while [ ! -e {go} ]; do sleep 0.1; done; touch {done}"
    driver.slurm.submit("simulation", command=command)
    wait_until("it runs", lambda: driver.slurm.jobs() == {"simulation": "RUNNING"})
    clients = by_default(driver)
    clients.drain(driver.host, AGENT, RESTART)
    driver.slurm.kill_slurmd()
    life = time.time()
    driver.slurm.start_slurmd()
    for again in (clients, clients_of(driver)):
        again.reconnect(driver.host, AGENT, RESTART, timeout_seconds=60, life=life)
    assert driver.slurm.jobs() == {"simulation": "RUNNING"}
    clients.undrain(driver.host, AGENT, RESTART)
    go.touch()
    wait_until("it ended", lambda: driver.slurm.jobs() == {})
    assert done.exists()
    wait_until("the node is idle", lambda: driver.slurm.state() == "IDLE")


def test_a_slurmd_that_comes_late_is_waited_for(driver: SlurmDriver) -> None:
    driver.slurm.kill_slurmd()
    life = time.time() + 3
    late = threading.Timer(4, driver.slurm.start_slurmd)
    late.start()
    clients = clients_of(driver)
    clients.reconnect(driver.host, AGENT, RESTART, timeout_seconds=60, life=life)
    late.join()
    assert state(clients, driver) is HostState.CONNECTED


def test_the_slurmd_from_before_the_restart_is_not_the_new_one(driver: SlurmDriver) -> None:
    life = time.time() + 60
    with pytest.raises(ReconnectFailed, match="the host was not connected in time"):
        clients_of(driver).reconnect(driver.host, AGENT, RESTART, timeout_seconds=2, life=life)


def test_a_node_that_is_down_is_left_alone(driver: SlurmDriver) -> None:
    driver.slurm.run("scontrol", "update", f"NodeName={NODE}", "State=DOWN", "Reason=broken")
    clients = clients_of(driver)
    assert state(clients, driver) is HostState.DISCONNECTED
    with pytest.raises(ControllerError, match="node-1 is down: it is left alone"):
        clients.drain(driver.host, AGENT, RESTART)
    clients.undrain(driver.host, AGENT, RESTART)
    assert driver.slurm.state() == "DOWN"


def test_a_drain_that_somebody_took_over_is_theirs(driver: SlurmDriver) -> None:
    clients = clients_of(driver)
    clients.drain(driver.host, AGENT, RESTART)
    driver.drain_by_somebody()
    clients.undrain(driver.host, AGENT, RESTART)
    assert driver.is_drained()


@pytest.mark.parametrize("name", ["ALL", "node-[1-2]", "node-1,node-2", "-o", "node-1 State=DOWN"])
def test_a_name_of_more_than_one_node_is_refused(driver: SlurmDriver, name: str) -> None:
    host = dataclasses.replace(driver.host, name=name)
    clients = clients_of(driver)
    with pytest.raises(ControllerError, match="is not the name of one node"):
        clients.drain(host, AGENT, RESTART)
    (said,) = clients.tasks(host, AGENT)
    assert isinstance(said.running, Unknown)
    assert not driver.is_drained()


def test_hosts_that_slurm_does_not_know_are_named_at_the_start(driver: SlurmDriver) -> None:
    clients = ControllerClients((driver.settings,), lambda: (driver.host, driver.unknown))
    assert clients.doubts(AGENT) == {"hpc": "it does not know node-2"}
