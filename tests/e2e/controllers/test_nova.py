"""The kind nova: the conformance suite, and what is nova's own, against a real nova 26.2."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memleash_responder.controller_settings import NovaSettings
from memleash_responder.core.host_states import HostState
from memleash_responder.errors import ControllerError, ReconnectFailed
from memleash_toolkit.values import Duration
from tests.contract.controllers.conformance import *  # noqa: F403
from tests.contract.controllers.conformance import RESTART, reconnect, state, tasks
from tests.contract.controllers.driver import AGENT, clients_of
from tests.e2e.controllers.nova import NovaDriver
from tests.e2e.controllers.openstack import OTHER_HOST, UNIT, OpenStack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

# The double is made to do these, in tests/contract/controllers/test_nova.py.
del test_a_slow_controller_is_waited_for  # noqa: F821
del test_half_an_answer_is_unknown  # noqa: F821
# Nothing is asked for at a reconnect; what is waited for is tested below.
del test_a_reconnect_that_is_refused_is_not_success  # noqa: F821
del test_a_reconnect_that_restarts_the_agent_is_success  # noqa: F821


@pytest.fixture
def driver(openstack: OpenStack, tmp_path: Path) -> NovaDriver:
    return NovaDriver(openstack, tmp_path)


@pytest.fixture(autouse=True)
def the_cell_is_back(driver: NovaDriver) -> Iterator[None]:
    """Undo what ``kill_node`` did; the rest is for ``tidy``."""
    killed: list[bool] = []
    kill = driver.kill_node

    def noted() -> None:
        killed.append(True)
        kill()

    driver.kill_node = noted  # type: ignore[method-assign]
    yield
    if killed:
        driver.rename_tables("{0}_away", "{0}")


def names(said: object) -> list[str]:
    assert isinstance(said, tuple)
    return [one.name for one in said]


def test_a_live_migration_counts_at_both_of_its_ends(driver: NovaDriver) -> None:
    server = driver.openstack.boot("vm-7")
    clients = clients_of(driver)
    assert tasks(clients, driver) == ()
    driver.openstack.hold()
    driver.openstack.migrate_live(server)
    assert names(tasks(clients, driver)) == ["migrating vm-7", f"live-migration of {server}"]
    dest = dataclasses.replace(driver.host, name=OTHER_HOST)
    (there,) = clients.tasks(dest, AGENT)
    assert names(there.running) == [f"live-migration of {server}"], "it has no server yet"
    driver.until_over(server)
    assert tasks(clients, driver) == ()
    assert driver.openstack.server(server)["OS-EXT-SRV-ATTR:host"] == OTHER_HOST


def test_an_operation_that_nova_compute_has_not_heard_of_yet_counts(driver: NovaDriver) -> None:
    server = driver.openstack.boot("vm-7")
    driver.openstack.signal("STOP", "nova-compute")
    url = f"{driver.openstack.nova}/servers/{server}/action"
    driver.openstack.ask("POST", url, {"reboot": {"type": "HARD"}})
    assert names(tasks(clients_of(driver), driver)) == ["rebooting_hard vm-7"]


def test_no_page_hides_a_task(driver: NovaDriver) -> None:
    """Nova's own limit is two servers a page; the oldest server is on the last of them."""
    oldest = driver.openstack.boot("the-oldest")
    for number in range(4):
        driver.openstack.boot(f"vm-{number}")
    driver.openstack.hold()
    driver.openstack.migrate_live(oldest)
    assert "migrating the-oldest" in names(tasks(clients_of(driver), driver))


def test_an_application_credential_and_a_token_are_as_good(
    driver: NovaDriver, tmp_path: Path
) -> None:
    openstack = driver.openstack
    credential, secret = openstack.application_credential()
    (tmp_path / "secret").write_text(secret)
    (tmp_path / "token").write_text(openstack.token())
    for driver.settings in (
        NovaSettings(
            "openstack",
            auth_url=openstack.keystone.removesuffix("/v3"),
            application_credential_id=credential,
            application_credential_secret_file=tmp_path / "secret",
        ),
        NovaSettings("openstack", endpoint=openstack.nova, token_file=tmp_path / "token"),
    ):
        clients = clients_of(driver)
        assert tasks(clients, driver) == ()
        clients.drain(driver.host, AGENT, RESTART)
        assert openstack.service()["disabled_reason"] == f"memleash: {RESTART}"
        clients.undrain(driver.host, AGENT, RESTART)
        assert openstack.service()["disabled_reason"] is None


def test_a_nova_compute_that_hangs_can_be_drained_and_undrained(driver: NovaDriver) -> None:
    """Nova saves at once, and waits a minute for nova-compute before it answers."""
    driver.openstack.signal("STOP", "nova-compute")
    driver.settings = dataclasses.replace(driver.settings, timeout=Duration(20))
    clients = clients_of(driver)
    clients.drain(driver.host, AGENT, RESTART)
    assert driver.is_drained()
    clients.undrain(driver.host, AGENT, RESTART)
    assert not driver.is_drained()


def test_a_host_that_was_forced_down_is_left_alone(driver: NovaDriver) -> None:
    driver.openstack.change(forced_down=True)
    clients = clients_of(driver)
    assert state(clients, driver) is HostState.DISCONNECTED
    with pytest.raises(ControllerError, match="is forced down: it is left alone"):
        clients.drain(driver.host, AGENT, RESTART)
    assert not driver.is_drained()


def test_a_nova_compute_that_is_up_and_dead_is_not_back(driver: NovaDriver) -> None:
    driver.openstack.machine.run("systemctl", "stop", UNIT)
    try:
        with pytest.raises(ReconnectFailed, match=r"it is up and has reported [01] times since"):
            reconnect(clients_of(driver), driver, seconds=8)
    finally:
        driver.openstack.machine.run("systemctl", "start", UNIT)


def test_a_restart_loses_no_server_and_is_seen(driver: NovaDriver) -> None:
    server = driver.openstack.boot("vm-7")
    clients = clients_of(driver)
    clients.drain(driver.host, AGENT, RESTART)
    driver.openstack.machine.run("systemctl", "restart", UNIT)
    clients.reconnect(driver.host, AGENT, RESTART, timeout_seconds=120, life=time.time())
    assert state(clients, driver) is HostState.CONNECTED
    clients.undrain(driver.host, AGENT, RESTART)
    assert driver.openstack.service()["status"] == "enabled"
    shown = driver.openstack.server(server)
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", None)
