"""The kind salt: the conformance suite, and what is Salt's own, against a real Salt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from demo.stack.processes import wait_until
from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.core.facts import Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.errors import ControllerError, ReconnectFailed
from tests.contract.controllers.conformance import *  # noqa: F403
from tests.contract.controllers.conformance import RESTART, state, tasks
from tests.contract.controllers.driver import AGENT, clients_of
from tests.e2e.controllers.salt import MINION, USER, SaltDriver, running_master

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# Salt has but one way to take a minion out of service: somebody else's blackout is maintenance.
del test_a_drain_of_somebody_else_is_left_to_them  # noqa: F821
# The double does these: a real one cannot be made to.
del test_half_an_answer_is_unknown  # noqa: F821
del test_a_slow_controller_is_waited_for  # noqa: F821
# Nothing is asked for at a reconnect; what is waited for is tested below.
del test_a_reconnect_returns_once_the_host_is_connected  # noqa: F821
del test_a_reconnect_may_come_twice  # noqa: F821
del test_a_reconnect_that_takes_long_is_waited_for  # noqa: F821
del test_a_reconnect_that_is_refused_is_not_success  # noqa: F821
del test_a_reconnect_that_restarts_the_agent_is_success  # noqa: F821


@pytest.fixture(scope="module")
def salt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SaltDriver]:
    with running_master(tmp_path_factory.mktemp("salt")) as master:
        driver = SaltDriver(master)
        try:
            driver.minion.start()
            yield driver
        finally:
            driver.minion.stop()


@pytest.fixture
def driver(salt: SaltDriver) -> Iterator[SaltDriver]:
    yield salt
    salt.reset()


def test_a_restart_is_seen_and_the_drain_outlives_it(driver: SaltDriver) -> None:
    clients = clients_of(driver)
    driver.run_task("web")
    running = tasks(clients, driver)
    assert isinstance(running, tuple)
    assert [one.name for one in running] == ["state.apply web"]
    driver.master.hold.unlink()
    wait_until("the state to be there", lambda: tasks(clients, driver) == ())

    clients.drain(driver.host, AGENT, RESTART)
    driver.minion.stop()
    life = time.time()
    driver.minion.start()
    for again in (clients, clients_of(driver)):
        again.reconnect(driver.host, AGENT, RESTART, timeout_seconds=60, life=life)
    assert driver.is_drained()
    clients.undrain(driver.host, AGENT, RESTART)
    driver.run_task("web")


def test_a_job_that_runs_goes_on_under_the_drain(driver: SaltDriver) -> None:
    driver.run_task("web")
    clients = clients_of(driver)
    clients.drain(driver.host, AGENT, RESTART)
    running = tasks(clients, driver)
    assert isinstance(running, tuple)
    assert [one.name for one in running] == ["state.apply web"]
    clients.undrain(driver.host, AGENT, RESTART)


def test_a_minion_that_is_down_is_disconnected_and_waited_for(driver: SaltDriver) -> None:
    clients = clients_of(driver)
    driver.minion.stop()
    assert state(clients, driver) is HostState.DISCONNECTED
    with pytest.raises(ControllerError, match=r"node-1 did not answer grains\.item"):
        clients.drain(driver.host, AGENT, RESTART)
    with ThreadPoolExecutor(1) as pool:
        reconnect = partial(clients.reconnect, timeout_seconds=60, life=time.time())
        waits = pool.submit(reconnect, driver.host, AGENT, RESTART)
        driver.minion.start()
        waits.result()
    assert state(clients, driver) is HostState.CONNECTED


def test_the_minion_from_before_the_restart_is_not_the_new_one(driver: SaltDriver) -> None:
    life = time.time() + 60
    with pytest.raises(ReconnectFailed, match="the host was not connected in time"):
        clients_of(driver).reconnect(driver.host, AGENT, RESTART, timeout_seconds=3, life=life)


def test_a_blackout_by_the_pillar_is_maintenance(driver: SaltDriver) -> None:
    pillar = driver.master.folder / "pillar"
    (pillar / "blackout.sls").write_text("minion_blackout: True\n", encoding="utf-8")
    (pillar / "top.sls").write_text("base: {'*': [blackout]}\n", encoding="utf-8")
    driver.master.run("saltutil.refresh_pillar")
    clients = clients_of(driver)
    wait_until("the blackout", driver.master.is_in_blackout)
    assert state(clients, driver) is HostState.MAINTENANCE
    assert isinstance(tasks(clients, driver), Unknown)


def test_minions_that_salt_does_not_know_are_named_at_the_start(driver: SaltDriver) -> None:
    clients = ControllerClients((driver.settings,), lambda: (driver.host, driver.unknown))
    assert clients.doubts(AGENT) == {"salt": "it does not know node-2"}


@pytest.mark.parametrize("function", ["cmd.run", "pillar.items", "grains.items", "state.apply"])
def test_the_documented_rights_allow_no_other_function(driver: SaltDriver, function: str) -> None:
    job = {"client": "local", "tgt": [MINION], "tgt_type": "list", "fun": function, "arg": ["id"]}
    assert driver.master.post("/", [job], driver.master.log_in(USER)).status_code == 401
