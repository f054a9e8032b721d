"""The kind nova: the conformance suite, and what is nova's own, against a double."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.adapters.http import client as http
from memleash_responder.controller_settings import (
    DisabledByOthers,
    NovaInterface,
    NovaSettings,
    NovaWork,
)
from memleash_responder.core.facts import Host, Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.errors import ControllerError, ReconnectFailed
from memleash_toolkit.values import Duration
from tests.contract.controllers.conformance import *  # noqa: F403
from tests.contract.controllers.conformance import RESTART, reconnect, state, tasks
from tests.contract.controllers.driver import AGENT, clients_of
from tests.support.nova.keystone import (
    CREDENTIAL_ID,
    CREDENTIAL_SECRET,
    PASSWORD,
    PROJECT,
    REGION,
    USER,
)
from tests.support.nova.server import FIXED_TOKEN, Nova

HANGS_AFTER = Duration(0.2)
LOGINS = ("password", "application credential", "token")

# Nothing is asked for at a reconnect; what is waited for is tested below.
del test_a_reconnect_that_is_refused_is_not_success  # noqa: F821
del test_a_reconnect_that_restarts_the_agent_is_success  # noqa: F821


class NovaDriver:
    """A nova with one host."""

    def __init__(self, nova: Nova, settings: NovaSettings) -> None:
        self.nova = nova
        self.settings = settings
        nova.add_host("node-1")
        self.host = Host("node-1", "127.0.0.1:1", "node-1", {"host": "node-1"})
        self.unknown = Host("node-2", "127.0.0.1:1", "node-2", {"host": "node-2"})

    @property
    def service(self) -> dict[str, Any]:
        return self.nova.services["node-1"]

    def run_task(self, name: str) -> None:
        self.nova.add_server(name, "node-1", "migrating")

    def queue_task(self) -> None:
        """Have a server be placed, on whichever host."""
        self.nova.add_server("vm-8", None, "scheduling")

    def is_drained(self) -> bool:
        return str(self.service["status"]) == "disabled"

    def drain_by_somebody(self) -> None:
        """Have nova-compute disable itself, as it does once it has lost libvirtd."""
        reason = "AUTO: Connection to libvirt lost: 1"
        self.service.update(status="disabled", disabled_reason=reason)

    def begin_maintenance(self) -> None:
        self.service.update(status="disabled", disabled_reason="a new kernel")

    def is_in_maintenance(self) -> bool:
        return self.service["disabled_reason"] == "a new kernel" and self.is_drained()

    def kill_node(self) -> None:
        self.nova.faults.is_cell_down = True

    def hang(self) -> None:
        self.settings = dataclasses.replace(self.settings, timeout=HANGS_AFTER)
        self.nova.faults.hang = True

    def slow_down(self) -> None:
        self.nova.faults.seconds = 0.05

    def expire_login(self) -> None:
        self.nova.keystone.expire_tokens()

    def halve_answers(self) -> None:
        self.nova.faults.halves |= {"OS-EXT-STS:task_state", "state"}

    def take_long(self) -> None:
        self.nova.asks_per_report = 5

    def refuse_reconnects(self) -> None:
        """Do nothing: nobody is asked."""

    def restart_agent_on_reconnect(self) -> None:
        """Do nothing: nobody is asked."""

    def reconnects(self) -> int:
        return 0


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memleash_responder.adapters.controllers.nova._POLL_SECONDS", 0.01)


@pytest.fixture
def nova() -> Nova:
    return Nova()


@pytest.fixture(params=LOGINS)
def driver(request: pytest.FixtureRequest, nova: Nova, tmp_path: Path) -> Iterator[NovaDriver]:
    with nova.served() as url:
        yield NovaDriver(nova, settings(url, tmp_path, request.param))


@pytest.fixture
def fixed(nova: Nova, tmp_path: Path) -> Iterator[NovaDriver]:
    """One that has a fixed token."""
    with nova.served() as url:
        yield NovaDriver(nova, settings(url, tmp_path, "token"))


@pytest.fixture
def logged_in(nova: Nova, tmp_path: Path) -> Iterator[NovaDriver]:
    """One that logs in by a password."""
    with nova.served() as url:
        yield NovaDriver(nova, settings(url, tmp_path, "password"))


def settings(url: str, folder: Path, how: str, **changes: Any) -> NovaSettings:
    files = {"password": PASSWORD, "secret": CREDENTIAL_SECRET, "token": FIXED_TOKEN}
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n", encoding="utf-8")
    logins: dict[str, dict[str, Any]] = {
        "password": {
            "auth_url": url,
            "username": USER,
            "password_file": folder / "password",
            "project_name": PROJECT,
        },
        "application credential": {
            "auth_url": f"{url}/v3",
            "application_credential_id": CREDENTIAL_ID,
            "application_credential_secret_file": folder / "secret",
            "region_name": REGION,
            "interface": NovaInterface.INTERNAL,
        },
        "token": {"endpoint": f"{url}/v2.1", "token_file": folder / "token"},
    }
    return NovaSettings("cloud", **{**logins[how], **changes})


def why(said: object) -> str:
    assert isinstance(said, Unknown)
    return said.why


def names(said: object) -> list[str]:
    assert isinstance(said, tuple)
    return [one.name for one in said]


# -- who asks --------------------------------------------------------------------------------------


def test_one_login_serves_many_calls(logged_in: NovaDriver) -> None:
    clients = clients_of(logged_in)
    for _ in range(3):
        assert tasks(clients, logged_in) == ()
    assert logged_in.nova.keystone.logins == 1


def test_a_token_that_ends_soon_is_renewed_before(logged_in: NovaDriver) -> None:
    clients = clients_of(logged_in)
    logged_in.nova.keystone.token_seconds = 20
    for _ in range(2):
        assert tasks(clients, logged_in) == ()
    assert logged_in.nova.keystone.logins > 2, "one call asks more than once"


def test_a_login_needs_a_library_that_a_fixed_token_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs keystoneauth1: install memleash\[nova\]"):
        settings("http://k:5000", tmp_path, "password")
    assert settings("http://n:8774", tmp_path, "token").count == tuple(NovaWork)


def test_the_library_is_imported_at_a_login() -> None:
    clients = "memleash_responder.adapters.controllers.clients"
    script = f"import sys, {clients}; sys.exit('keystoneauth1' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(("file", "login"), [("password", "password"), ("secret", LOGINS[1])])
def test_a_login_that_is_refused_is_not_tried_for_ever(
    nova: Nova, tmp_path: Path, file: str, login: str
) -> None:
    with nova.served() as url:
        driver = NovaDriver(nova, settings(url, tmp_path, login))
        clients = clients_of(driver)
        (tmp_path / file).write_text("another")
        assert "requires authentication. (HTTP 401)" in why(tasks(clients, driver))
        assert nova.asked == ["POST /v3/auth/tokens"]
        (tmp_path / file).write_text({"password": PASSWORD, "secret": CREDENTIAL_SECRET}[file])
        assert tasks(clients, driver) == (), "the file is read at each login"


def test_a_fixed_token_that_is_no_good_is_unknown(fixed: NovaDriver, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("nobody")
    assert "answered 401: Authentication required" in why(tasks(clients_of(fixed), fixed))


@pytest.mark.parametrize("half", ["token", "expires_at", "catalog", "X-Subject-Token"])
def test_half_a_token_is_unknown(logged_in: NovaDriver, half: str) -> None:
    logged_in.nova.keystone.halves.add(half)
    assert "Keystone at " in why(tasks(clients_of(logged_in), logged_in))


def test_a_catalog_without_the_region_is_unknown(nova: Nova, tmp_path: Path) -> None:
    with nova.served() as url:
        driver = NovaDriver(nova, settings(url, tmp_path, "password", region_name="RegionThree"))
        assert "RegionThree" in why(tasks(clients_of(driver), driver))


def test_an_endpoint_of_the_configuration_comes_before_the_catalog(
    nova: Nova, tmp_path: Path
) -> None:
    with nova.served() as url:
        endpoint = f"{url}/internal/v2.1"
        driver = NovaDriver(nova, settings(url, tmp_path, "password", endpoint=endpoint))
        assert tasks(clients_of(driver), driver) == ()
        assert "GET /internal/v2.1/servers/detail" in nova.asked


def test_a_keystone_that_hangs_is_unknown_in_time(logged_in: NovaDriver) -> None:
    logged_in.hang()
    assert "no whole answer within" in why(tasks(clients_of(logged_in), logged_in))
    assert logged_in.nova.asked == ["POST /v3/auth/tokens"]


# -- tasks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("largest_page", [1, 2, 100, 1000])
def test_no_page_hides_a_running_task(fixed: NovaDriver, largest_page: int) -> None:
    fixed.nova.largest_page = largest_page
    for number in range(5):
        fixed.nova.add_server(f"idle-{number}", "node-1")
    fixed.run_task("the-last")
    assert names(tasks(clients_of(fixed), fixed)) == ["migrating the-last"]


def test_a_page_limit_that_is_ours_hides_none(fixed: NovaDriver) -> None:
    for number in range(250):
        fixed.nova.add_server(f"vm-{number}", "node-1", None if number < 249 else "spawning")
    assert names(tasks(clients_of(fixed), fixed)) == ["spawning vm-249"]


def test_a_page_that_promises_more_for_ever_is_unknown(fixed: NovaDriver) -> None:
    fixed.nova.largest_page = 1
    fixed.nova.add_server("vm-1", "node-1")
    fixed.nova.faults.halves.add("id")
    assert "a page that is not the last has no last entry" in why(tasks(clients_of(fixed), fixed))


@pytest.mark.parametrize(
    "status",
    [
        *("accepted", "queued", "preparing", "running", "running (post-copy)", "pre-migrating"),
        *("migrating", "post-migrating", "confirming", "reverting", "a status of the future"),
    ],
)
@pytest.mark.parametrize("ends", [("node-1", "node-9"), ("node-9", "node-1")])
def test_a_migration_counts_at_both_of_its_ends(
    fixed: NovaDriver, status: str, ends: tuple[str, str]
) -> None:
    server = fixed.nova.add_migration(status, *ends)
    running = names(tasks(clients_of(fixed), fixed))
    assert running == [f"live-migration of {server}"]


@pytest.mark.parametrize(
    "status",
    ["cancelled", "completed", "confirmed", "done", "error", "failed", "finished", "reverted"],
)
def test_a_migration_that_has_ended_does_not_count(fixed: NovaDriver, status: str) -> None:
    fixed.nova.add_migration(status, "node-1", "node-9")
    assert tasks(clients_of(fixed), fixed) == ()


@pytest.mark.parametrize("counted", NovaWork)
def test_what_counts_is_configured(fixed: NovaDriver, counted: NovaWork) -> None:
    fixed.run_task("vm-7")
    server = fixed.nova.add_migration("running", "node-1", "node-9")
    fixed.settings = dataclasses.replace(fixed.settings, count=(counted,))
    shown = {
        NovaWork.SERVERS: "migrating vm-7",
        NovaWork.MIGRATIONS: f"live-migration of {server}",
    }
    assert names(tasks(clients_of(fixed), fixed)) == [shown[counted]]


@pytest.mark.parametrize(
    "key",
    [
        *("services", "servers", "migrations", "id", "status", "forced_down", "state"),
        *("OS-EXT-STS:task_state", "OS-EXT-SRV-ATTR:host"),
    ],
)
def test_a_key_that_is_missing_is_unknown(fixed: NovaDriver, key: str) -> None:
    fixed.nova.add_server("vm-1", "node-1")
    fixed.nova.add_migration("completed", "node-1", "node-9")
    fixed.nova.faults.halves.add(key)
    assert isinstance(tasks(clients_of(fixed), fixed), Unknown)


def test_a_server_that_is_built_counts_between_two_steps(fixed: NovaDriver) -> None:
    fixed.nova.add_server("vm-1", "node-1")
    fixed.nova.servers[0]["status"] = "BUILD"
    assert names(tasks(clients_of(fixed), fixed)) == ["BUILD vm-1"]


def test_servers_of_other_hosts_are_unknown(fixed: NovaDriver) -> None:
    """Nova drops a filter that the account may not use, without an error."""
    fixed.nova.add_server("vm-1", "node-1")
    with mock.patch.object(Nova, "_servers", lambda nova, query: {"servers": nova.servers}):
        fixed.nova.add_server("vm-2", "node-9")
        assert "servers of other hosts are listed" in why(tasks(clients_of(fixed), fixed))


def test_a_cell_that_is_away_is_unknown_although_its_lists_are_empty(fixed: NovaDriver) -> None:
    fixed.run_task("vm-7")
    fixed.kill_node()
    clients = clients_of(fixed)
    assert "nova knows no nova-compute of node-1" in why(tasks(clients, fixed))
    assert isinstance(state(clients, fixed), Unknown)


# -- drains, maintenance, states -------------------------------------------------------------------


def test_a_drain_bears_the_restarts_id(fixed: NovaDriver) -> None:
    clients_of(fixed).drain(fixed.host, AGENT, RESTART)
    assert fixed.service["disabled_reason"] == f"memleash: {RESTART}"


def test_a_drain_and_an_undrain_that_are_not_answered_are_looked_at(fixed: NovaDriver) -> None:
    """Nova saves a change first, and then waits for nova-compute, which may hang."""
    fixed.settings = dataclasses.replace(fixed.settings, timeout=Duration(2))
    fixed.nova.faults.unanswered_puts = 2
    clients = clients_of(fixed)
    clients.drain(fixed.host, AGENT, RESTART)
    assert fixed.is_drained()
    clients.undrain(fixed.host, AGENT, RESTART)
    assert not fixed.is_drained()
    assert fixed.nova.faults.unanswered_puts == 0


def test_a_drain_that_nova_refuses_is_a_failure(fixed: NovaDriver) -> None:
    fixed.nova.faults.refused_puts = True
    with pytest.raises(ControllerError, match=r"answered 500.*Unexpected API Error"):
        clients_of(fixed).drain(fixed.host, AGENT, RESTART)


def test_a_host_that_was_forced_down_is_left_alone(fixed: NovaDriver) -> None:
    fixed.service.update(forced_down=True, state="down")
    clients = clients_of(fixed)
    assert state(clients, fixed) is HostState.DISCONNECTED
    with pytest.raises(ControllerError, match="is forced down: it is left alone"):
        clients.drain(fixed.host, AGENT, RESTART)
    assert not fixed.is_drained()


def test_a_host_that_somebody_disabled_may_be_drained_only(fixed: NovaDriver) -> None:
    means = DisabledByOthers.DRAINED
    fixed.settings = dataclasses.replace(fixed.settings, disabled_by_others=means)
    fixed.service.update(status="disabled", disabled_reason="full")
    clients = clients_of(fixed)
    assert state(clients, fixed) is HostState.CONNECTED
    clients.drain(fixed.host, AGENT, RESTART)
    clients.undrain(fixed.host, AGENT, RESTART)
    assert fixed.service["disabled_reason"] == "full"


@pytest.mark.parametrize("reason", [None, "", "a disk", "memleashed by hand"])
def test_a_host_that_somebody_disabled_is_in_maintenance(
    fixed: NovaDriver, reason: str | None
) -> None:
    fixed.service.update(status="disabled", disabled_reason=reason, state="down")
    assert state(clients_of(fixed), fixed) is HostState.MAINTENANCE


def test_a_nova_compute_that_went_silent_is_disconnected(fixed: NovaDriver) -> None:
    fixed.service["state"] = "down"
    assert state(clients_of(fixed), fixed) is HostState.DISCONNECTED


@pytest.mark.parametrize(
    ("key", "word"), [("state", "sideways"), ("status", "UNKNOWN"), ("id", 7), ("forced_down", 0)]
)
def test_a_word_that_is_not_known_is_unknown(fixed: NovaDriver, key: str, word: object) -> None:
    fixed.service[key] = word
    assert "the compute service of node-1: half an answer" in why(state(clients_of(fixed), fixed))


# -- reconnects, doubts ----------------------------------------------------------------------------


def test_a_reconnect_waits_for_two_further_reports(fixed: NovaDriver) -> None:
    fixed.nova.asks_per_report = 3
    reconnect(clients_of(fixed), fixed)
    assert fixed.nova.asked.count("GET /v2.1/os-services") == 6


def test_a_service_that_is_up_and_does_not_report_is_not_back(fixed: NovaDriver) -> None:
    """Nova calls it up for a minute after its death."""
    fixed.nova.reports_left = 0
    with pytest.raises(ReconnectFailed, match="it is up and has reported 0 times since"):
        reconnect(clients_of(fixed), fixed, seconds=0.3)


def test_one_change_by_hand_is_not_a_service_that_is_back(fixed: NovaDriver) -> None:
    fixed.nova.asks_per_report, fixed.nova.reports_left = 2, 1
    with pytest.raises(ReconnectFailed, match="it is up and has reported 1 times since"):
        reconnect(clients_of(fixed), fixed, seconds=0.5)


def test_a_service_that_reports_and_is_down_is_not_back(fixed: NovaDriver) -> None:
    fixed.service["state"] = "down"
    with pytest.raises(ReconnectFailed, match="it is down"):
        reconnect(clients_of(fixed), fixed, seconds=0.3)


def test_hosts_that_nova_does_not_know_are_named_at_the_start(fixed: NovaDriver) -> None:
    clients = ControllerClients((fixed.settings,), lambda: (fixed.host, fixed.unknown))
    assert clients.doubts(AGENT) == {"cloud": "it does not know node-2"}


# -- whatever is answered --------------------------------------------------------------------------

HOST = Host("node-1", "127.0.0.1:1", "node-1", {"host": "node-1"})
KEYS = st.sampled_from(
    [
        *("services", "servers", "servers_links", "migrations", "id", "host", "binary", "status"),
        *("state", "disabled_reason", "forced_down", "updated_at", "rel", "token", "catalog"),
        *("OS-EXT-STS:task_state", "OS-EXT-SRV-ATTR:host", "expires_at", "endpoints", "type"),
    ]
)
WORDS = st.sampled_from(
    ["enabled", "up", "memleash", "node-1", "nova-compute", "next", "compute", "9" * 400]
)
TREES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=12,
)


@hypothesis_settings(max_examples=100)
@given(tree=TREES, status=st.sampled_from([200, 201, 401, 503]), login=st.sampled_from(LOGINS))
def test_whatever_is_answered_is_understood_or_unknown(tree: Any, status: int, login: str) -> None:
    body = json.dumps(tree).encode()
    answer = http.Answer(status, {"X-Subject-Token": "t"}, body, "GET http://nova/")
    logins: dict[str, dict[str, Any]] = {
        "password": {"auth_url": "http://k", "username": "u", "project_name": "p"}
        | {"password_file": Path("unused")},
        "application credential": {"auth_url": "http://k", "application_credential_id": "i"}
        | {"application_credential_secret_file": Path("unused")},
        "token": {"endpoint": "http://nova", "token_file": Path("unused")},
    }
    clients = ControllerClients((NovaSettings("cloud", timeout=HANGS_AFTER, **logins[login]),))
    with (
        mock.patch.object(http, "request", return_value=answer),
        mock.patch.object(http, "read_secret", return_value="secret"),
    ):
        (said,) = clients.tasks(HOST, AGENT)
        assert isinstance(said.running, tuple | Unknown)
        (called,) = clients.states(HOST)
        assert isinstance(called.state, HostState | Unknown)
        with contextlib.suppress(ControllerError):
            clients.undrain(HOST, AGENT, RESTART)
