"""What every kind of controller must do. Each kind's test file takes all of these, with a driver.

    from tests.contract.controllers.conformance import *  # noqa: F403

A situation that a system cannot get into is deleted there by name, with the reason.
"""

from __future__ import annotations

import time

import pytest

from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.core.facts import Host, Task, Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.errors import ControllerError, ReconnectFailed
from tests.contract.controllers.driver import AGENT, Driver, clients_of

RESTART, NEXT_RESTART = "restart-1", "restart-2"
LONG_SECONDS = 60


@pytest.fixture
def clients(driver: Driver) -> ControllerClients:
    return clients_of(driver)


def tasks(clients: ControllerClients, driver: Driver) -> tuple[Task, ...] | Unknown:
    (said,) = clients.tasks(driver.host, AGENT)
    return said.running


def state(clients: ControllerClients, driver: Driver) -> HostState | Unknown:
    (said,) = clients.states(driver.host)
    return said.state


# -- tasks and states ------------------------------------------------------------------------------


def test_an_idle_host_is_connected_and_has_no_tasks(
    driver: Driver, clients: ControllerClients
) -> None:
    assert tasks(clients, driver) == ()
    assert state(clients, driver) is HostState.CONNECTED
    assert clients.doubts(AGENT) == {driver.settings.name: None}


def test_a_running_task_is_named(driver: Driver, clients: ControllerClients) -> None:
    driver.run_task("migrate-vm-7")
    running = tasks(clients, driver)
    assert isinstance(running, tuple)
    assert any("migrate-vm-7" in one.name for one in running)


def test_work_that_has_not_begun_does_not_count(driver: Driver, clients: ControllerClients) -> None:
    driver.queue_task()
    assert tasks(clients, driver) == ()


def test_what_cannot_be_told_of_an_unknown_host_is_unknown(
    driver: Driver, clients: ControllerClients
) -> None:
    (running,) = clients.tasks(driver.unknown, AGENT)
    assert isinstance(running.running, Unknown)
    (called,) = clients.states(driver.unknown)
    assert isinstance(called.state, Unknown)
    with pytest.raises(ControllerError):
        clients.drain(driver.unknown, AGENT, RESTART)


def test_tasks_are_unknown_while_a_node_of_the_controller_is_down(
    driver: Driver, clients: ControllerClients
) -> None:
    driver.kill_node()
    assert isinstance(tasks(clients, driver), Unknown)


def test_half_an_answer_is_unknown(driver: Driver, clients: ControllerClients) -> None:
    driver.halve_answers()
    assert isinstance(tasks(clients, driver), Unknown)
    assert isinstance(state(clients, driver), Unknown)


def test_a_controller_that_hangs_is_unknown_in_time(driver: Driver) -> None:
    driver.hang()
    clients = clients_of(driver)
    began = time.monotonic()
    assert isinstance(tasks(clients, driver), Unknown)
    assert isinstance(state(clients, driver), Unknown)
    with pytest.raises(ControllerError):
        clients.drain(driver.host, AGENT, RESTART)
    assert time.monotonic() - began < LONG_SECONDS, "each call has a deadline"


def test_a_slow_controller_is_waited_for(driver: Driver, clients: ControllerClients) -> None:
    driver.slow_down()
    assert tasks(clients, driver) == ()
    assert state(clients, driver) is HostState.CONNECTED


def test_an_expired_login_is_renewed(driver: Driver, clients: ControllerClients) -> None:
    assert tasks(clients, driver) == ()
    driver.expire_login()
    assert tasks(clients, driver) == ()
    driver.expire_login()
    clients.drain(driver.host, AGENT, RESTART)
    assert driver.is_drained()


# -- the harmless part, as memleashctl has it run --------------------------------------------------


def failing(clients: ControllerClients, driver: Driver, host: Host) -> dict[str, str]:
    found = clients.check(driver.settings.name, host, AGENT)
    return {one.check: one.said for one in found if not one.passes}


def test_a_good_controller_passes_its_check_idle_or_not(
    driver: Driver, clients: ControllerClients
) -> None:
    assert failing(clients, driver, driver.host) == {}
    driver.run_task("migrate-vm-7")
    assert failing(clients, driver, driver.host) == {}
    assert not driver.is_drained()


def test_a_controller_that_does_not_know_the_host_fails_its_check(
    driver: Driver, clients: ControllerClients
) -> None:
    assert failing(clients, driver, driver.unknown).keys() >= {"state", "tasks"}


def test_a_controller_that_hangs_fails_its_check_in_time(driver: Driver) -> None:
    driver.hang()
    began = time.monotonic()
    assert failing(clients_of(driver), driver, driver.host).keys() >= {"state", "tasks"}
    assert time.monotonic() - began < LONG_SECONDS, "each question has a deadline"


# -- drains ----------------------------------------------------------------------------------------


def test_a_drain_gives_no_new_work_and_an_undrain_gives_it_again(
    driver: Driver, clients: ControllerClients
) -> None:
    clients.drain(driver.host, AGENT, RESTART)
    assert driver.is_drained()
    assert state(clients, driver) is HostState.CONNECTED
    clients.undrain(driver.host, AGENT, RESTART)
    assert not driver.is_drained()


def test_a_drain_and_an_undrain_may_come_twice(driver: Driver, clients: ControllerClients) -> None:
    for _ in range(2):
        clients.drain(driver.host, AGENT, RESTART)
        assert driver.is_drained()
    for _ in range(2):
        clients.undrain(driver.host, AGENT, RESTART)
        assert not driver.is_drained()


def test_a_restart_may_drain_undrain_and_drain_again(
    driver: Driver, clients: ControllerClients
) -> None:
    """Found busy behind its drain, it gives all back, waits, and begins anew."""
    for _ in range(2):
        clients.drain(driver.host, AGENT, RESTART)
        assert driver.is_drained()
        clients.undrain(driver.host, AGENT, RESTART)
        assert not driver.is_drained()


def test_a_responder_that_crashed_undrains_what_it_had_drained(
    driver: Driver, clients: ControllerClients
) -> None:
    clients.drain(driver.host, AGENT, RESTART)
    clients_of(driver).undrain(driver.host, AGENT, RESTART)
    assert not driver.is_drained()


def test_the_next_restart_ends_a_drain_that_another_left(
    driver: Driver, clients: ControllerClients
) -> None:
    clients.drain(driver.host, AGENT, RESTART)
    clients.drain(driver.host, AGENT, NEXT_RESTART)
    assert driver.is_drained()
    clients.undrain(driver.host, AGENT, NEXT_RESTART)
    assert not driver.is_drained()


def test_an_undrain_of_what_was_never_drained_changes_nothing(
    driver: Driver, clients: ControllerClients
) -> None:
    clients.undrain(driver.host, AGENT, RESTART)
    assert not driver.is_drained()
    assert state(clients, driver) is HostState.CONNECTED


def test_a_drain_of_somebody_else_is_left_to_them(
    driver: Driver, clients: ControllerClients
) -> None:
    driver.drain_by_somebody()
    clients.drain(driver.host, AGENT, RESTART)
    clients.undrain(driver.host, AGENT, RESTART)
    assert driver.is_drained()


def test_maintenance_is_recognised_and_left_alone(
    driver: Driver, clients: ControllerClients
) -> None:
    driver.begin_maintenance()
    assert state(clients, driver) is HostState.MAINTENANCE
    with pytest.raises(ControllerError, match=r"[Mm]aintenance"):
        clients.drain(driver.host, AGENT, RESTART)
    clients.undrain(driver.host, AGENT, RESTART)
    assert driver.is_in_maintenance()


def test_maintenance_that_begins_behind_our_drain_outlives_its_end(
    driver: Driver, clients: ControllerClients
) -> None:
    clients.drain(driver.host, AGENT, RESTART)
    driver.begin_maintenance()
    assert state(clients, driver) is HostState.MAINTENANCE
    clients.undrain(driver.host, AGENT, RESTART)
    assert driver.is_in_maintenance()


# -- reconnects ------------------------------------------------------------------------------------


def reconnect(clients: ControllerClients, driver: Driver, seconds: float = LONG_SECONDS) -> None:
    life = time.time() - 1
    clients.reconnect(driver.host, AGENT, RESTART, timeout_seconds=seconds, life=life)


def test_a_reconnect_returns_once_the_host_is_connected(
    driver: Driver, clients: ControllerClients
) -> None:
    reconnect(clients, driver)
    assert state(clients, driver) is HostState.CONNECTED


def test_a_reconnect_may_come_twice(driver: Driver, clients: ControllerClients) -> None:
    reconnect(clients, driver)
    reconnect(clients_of(driver), driver)
    assert state(clients, driver) is HostState.CONNECTED


def test_a_reconnect_that_takes_long_is_waited_for(
    driver: Driver, clients: ControllerClients
) -> None:
    driver.take_long()
    reconnect(clients, driver)
    assert state(clients, driver) is HostState.CONNECTED


def test_a_reconnect_ends_at_its_deadline(driver: Driver, clients: ControllerClients) -> None:
    driver.hang()
    began = time.monotonic()
    with pytest.raises(ReconnectFailed):
        reconnect(clients, driver, seconds=0.5)
    assert time.monotonic() - began < LONG_SECONDS, "it hangs for a minute"


def test_a_reconnect_that_is_refused_is_not_success(
    driver: Driver, clients: ControllerClients
) -> None:
    driver.refuse_reconnects()
    with pytest.raises(ReconnectFailed):
        reconnect(clients, driver)


def test_a_reconnect_that_restarts_the_agent_is_success(
    driver: Driver, clients: ControllerClients
) -> None:
    driver.restart_agent_on_reconnect()
    reconnect(clients, driver)
    assert driver.reconnects() == 1
    assert state(clients, driver) is HostState.CONNECTED
