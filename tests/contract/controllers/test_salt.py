"""The kind salt: the conformance suite, and what is Salt's own, against a double.

A real Salt is in tests/e2e/controllers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from demo.http_server import serving
from memleash_responder.adapters.controllers import salt
from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.adapters.controllers.login import Login
from memleash_responder.adapters.http import client as http
from memleash_responder.controller_settings import SaltSettings
from memleash_responder.core.facts import Host, Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.errors import ControllerError, ReconnectFailed
from memleash_toolkit.values import Duration
from tests.contract.controllers.conformance import *  # noqa: F403
from tests.contract.controllers.conformance import RESTART, reconnect, state, tasks
from tests.contract.controllers.driver import AGENT, clients_of
from tests.support.salt_api import MINION, PASSWORD, USER, SaltApi

HANGS_AFTER = Duration(0.2)

# Salt has but one way to take a minion out of service: somebody else's blackout is maintenance.
del test_a_drain_of_somebody_else_is_left_to_them  # noqa: F821
# Nothing is asked for at a reconnect, so nothing can refuse it.
del test_a_reconnect_that_is_refused_is_not_success  # noqa: F821
del test_a_reconnect_that_restarts_the_agent_is_success  # noqa: F821


class SaltDriver:
    """A master with one minion."""

    def __init__(self, api: SaltApi, settings: SaltSettings) -> None:
        self.api = api
        self.settings = settings
        self.host = Host(MINION, "127.0.0.1:1", MINION, {"host": MINION})
        self.unknown = Host("node-2", "127.0.0.1:1", "node-2", {"host": "node-2"})

    def run_task(self, name: str) -> None:
        self.api.run("state.apply", name)

    def queue_task(self) -> None:
        """Do nothing: what a minion has queued it does not tell of."""

    def is_drained(self) -> bool:
        return bool(self.api.grains.get("minion_blackout"))

    def drain_by_somebody(self) -> None:
        raise AssertionError("that is maintenance")

    def begin_maintenance(self) -> None:
        self.api.grains |= {"minion_blackout": True, "minion_blackout_whitelist": ["grains.item"]}

    def is_in_maintenance(self) -> bool:
        return self.api.grains.get("minion_blackout") is True

    def kill_node(self) -> None:
        self.api.faults.silent = True

    def hang(self) -> None:
        self.settings = dataclasses.replace(self.settings, timeout=HANGS_AFTER)
        self.api.faults.hang = True

    def slow_down(self) -> None:
        self.api.faults.seconds = 0.05

    def expire_login(self) -> None:
        self.api.expire_tokens()

    def halve_answers(self) -> None:
        self.api.faults.halves = True

    def take_long(self) -> None:
        self.api.faults.silent = True
        threading.Timer(0.2, self._come_back).start()

    def _come_back(self) -> None:
        self.api.faults.silent = False

    def refuse_reconnects(self) -> None:
        raise AssertionError("nothing is asked for")

    def restart_agent_on_reconnect(self) -> None:
        raise AssertionError("nothing is asked for")

    def reconnects(self) -> int:
        return 0


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salt, "_POLL_SECONDS", 0.01)


@pytest.fixture
def api() -> SaltApi:
    return SaltApi()


@pytest.fixture
def driver(api: SaltApi, tmp_path: Path) -> Iterator[SaltDriver]:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    with serving(api.answer) as served:
        login = {"username": USER, "password_file": tmp_path / "password"}
        yield SaltDriver(api, SaltSettings("config", url=served.url, **login))  # type: ignore[arg-type]


def why(said: object) -> str:
    assert isinstance(said, Unknown)
    return said.why


# -- who asks -------------------------------------------------------------------------------------


def test_one_login_serves_many_calls(driver: SaltDriver) -> None:
    clients = clients_of(driver)
    for _ in range(3):
        assert tasks(clients, driver) == ()
    assert driver.api.logins == 1


def test_a_login_that_is_refused_is_not_tried_for_ever(driver: SaltDriver, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("another")
    said = why(tasks(clients_of(driver), driver))
    assert "answered 401: Could not authenticate using provided credentials" in said
    assert driver.api.logins == 1


@pytest.mark.parametrize(
    ("status", "message", "logins"),
    [(401, "Authorization error occurred.", 2), (400, "Client disabled: 'local'.", 1)],
)
def test_a_page_of_html_is_unknown_and_its_message_is_told(
    driver: SaltDriver, status: int, message: str, logins: int
) -> None:
    driver.api.faults.html = (status, message)
    assert f"answered {status}: {message}" in why(tasks(clients_of(driver), driver))
    assert driver.api.logins == logins


def test_salt_waits_no_longer_for_a_minion_than_the_call_may_take(driver: SaltDriver) -> None:
    assert tasks(clients_of(driver), driver) == ()
    (call,) = driver.api.calls
    assert call["timeout"] + call["gather_job_timeout"] < driver.settings.timeout
    assert (call["tgt"], call["tgt_type"]) == ([MINION], "list")


# -- tasks ----------------------------------------------------------------------------------------


def test_what_only_reads_is_no_task_and_secrets_are_not_shown(driver: SaltDriver) -> None:
    driver.api.run("saltutil.running")
    driver.api.run("grains.item", "minion_blackout")
    driver.api.run("cmd.run", "login --password x")
    driver.api.run("state.sls", "web", {"__kwarg__": True, "pillar": {"password": "x"}})
    driver.api.run(["test.ping", "pkg.upgrade"], [], [])
    driver.api.run("mine.update", schedule="__mine_interval")
    driver.api.jobs.append({})
    running = tasks(clients_of(driver), driver)
    assert isinstance(running, tuple)
    names = ["cmd.run", "state.sls web", "test.ping, pkg.upgrade", "mine.update", "?"]
    assert [one.name for one in running] == names


@pytest.mark.parametrize("running", [None, {}, "x", [1], [[]]])
def test_what_is_no_list_of_jobs_is_unknown(driver: SaltDriver, running: Any) -> None:
    driver.api.jobs = running
    assert "half an answer" in why(tasks(clients_of(driver), driver))


# -- blackouts ------------------------------------------------------------------------------------


def test_the_mark_is_the_blackout_itself(driver: SaltDriver) -> None:
    clients_of(driver).drain(driver.host, AGENT, RESTART)
    assert driver.api.grains["minion_blackout"] == f"memleash: {RESTART}"


@pytest.mark.parametrize("others", [[], ["state.apply"], ["test.ping", "state.apply"]])
def test_a_whitelist_that_was_there_is_there_again(driver: SaltDriver, others: list[str]) -> None:
    before = {**driver.api.grains, **({"minion_blackout_whitelist": others} if others else {})}
    driver.api.grains = dict(before)
    clients = clients_of(driver)
    clients.drain(driver.host, AGENT, RESTART)
    allowed = driver.api.grains["minion_blackout_whitelist"]
    assert allowed == [*others, "memleash", *salt.ALLOWED]
    clients.undrain(driver.host, AGENT, RESTART)
    assert driver.api.grains == before


def test_a_drain_is_waited_for_until_it_is_in_force(driver: SaltDriver) -> None:
    driver.api.faults.lag = 3
    clients = clients_of(driver)
    clients.drain(driver.host, AGENT, RESTART)
    assert driver.is_drained()
    clients.undrain(driver.host, AGENT, RESTART)
    assert not driver.is_drained()


def test_a_drain_that_never_comes_into_force_is_a_failure(driver: SaltDriver) -> None:
    driver.api.faults.deaf = True
    driver.settings = dataclasses.replace(driver.settings, timeout=HANGS_AFTER)
    with pytest.raises(ControllerError, match="no whole answer"):
        clients_of(driver).drain(driver.host, AGENT, RESTART)


def test_a_minion_that_is_down_is_disconnected_and_cannot_be_drained(driver: SaltDriver) -> None:
    driver.api.faults.silent = True
    clients = clients_of(driver)
    assert state(clients, driver) is HostState.DISCONNECTED
    for act in (clients.drain, clients.undrain):
        with pytest.raises(ControllerError, match=r"node-1 did not answer grains\.item"):
            act(driver.host, AGENT, RESTART)


@pytest.mark.parametrize("allowed", [[], ["grains.item"]])
def test_a_blackout_that_allows_too_little_refuses(driver: SaltDriver, allowed: list[str]) -> None:
    driver.api.pillar_allows = allowed
    clients = clients_of(driver)
    with pytest.raises(ControllerError, match="a blackout of somebody's"):
        clients.drain(driver.host, AGENT, RESTART)
    assert "a blackout of somebody's" in why(tasks(clients, driver))
    if not allowed:
        assert state(clients, driver) is HostState.MAINTENANCE


def test_a_drain_that_a_blackout_by_the_pillar_hides_is_not_said_to_be_over(
    driver: SaltDriver,
) -> None:
    clients = clients_of(driver)
    clients.drain(driver.host, AGENT, RESTART)
    driver.api.pillar_allows = []
    with pytest.raises(ControllerError, match="a blackout of somebody's"):
        clients.undrain(driver.host, AGENT, RESTART)


# -- reconnects, doubts ---------------------------------------------------------------------------


LIFE = 1_795_803_462.0


@pytest.mark.parametrize("begins_after_seconds", [0.0, 1.0])
def test_a_minion_from_after_the_restart_is_back(
    driver: SaltDriver, begins_after_seconds: float
) -> None:
    driver.api.started = LIFE + begins_after_seconds
    clients_of(driver).reconnect(driver.host, AGENT, RESTART, timeout_seconds=60, life=LIFE)


def test_a_minion_from_before_the_restart_is_not_back(driver: SaltDriver) -> None:
    driver.api.started = LIFE - 60
    with pytest.raises(ReconnectFailed, match="the host was not connected in time"):
        clients_of(driver).reconnect(driver.host, AGENT, RESTART, timeout_seconds=0.3, life=LIFE)


def test_a_minion_whose_process_is_gone_is_not_back(driver: SaltDriver) -> None:
    driver.api.is_running = False
    with pytest.raises(ReconnectFailed, match="the host was not connected in time"):
        reconnect(clients_of(driver), driver, seconds=0.3)


def test_minions_that_salt_does_not_know_are_told_at_the_start(driver: SaltDriver) -> None:
    clients = ControllerClients((driver.settings,), lambda: (driver.host, driver.unknown))
    assert clients.doubts(AGENT) == {"config": "it does not know node-2"}


# -- whatever is answered --------------------------------------------------------------------------

HOST = Host(MINION, "127.0.0.1:1", MINION, {"host": MINION})
KEYS = st.sampled_from(
    [
        *("return", MINION, "ret", "retcode", "out", "token", "jid", "fun", "arg", "pid"),
        *("minion_blackout", "minion_blackout_whitelist", "create_time"),
    ]
)
WORDS = st.sampled_from(["no_return", "memleash", "memleash: 1", "state.apply", "9" * 400])
TREES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=12,
)


@hypothesis_settings(max_examples=100)
@given(tree=TREES | TREES.map(lambda ret: {"return": [{MINION: {"ret": ret, "retcode": 0}}]}))
def test_whatever_salt_answers_is_understood_or_unknown(tree: Any) -> None:
    answer = http.Answer(200, {}, json.dumps(tree).encode(), "POST http://master/")
    settings = SaltSettings("config", url="http://m", username=USER, password_file=Path("unused"))
    clients = ControllerClients((dataclasses.replace(settings, timeout=HANGS_AFTER),))
    login = mock.patch.object(Login, "token", return_value="token")
    with mock.patch.object(http, "request", return_value=answer), login:
        (said,) = clients.tasks(HOST, AGENT)
        assert isinstance(said.running, tuple | Unknown)
        (called,) = clients.states(HOST)
        assert isinstance(called.state, HostState | Unknown)
        with contextlib.suppress(ControllerError):
            clients.undrain(HOST, AGENT, RESTART)
        with contextlib.suppress(ReconnectFailed):
            clients.reconnect(HOST, AGENT, RESTART, timeout_seconds=0.01, life=time.time())
