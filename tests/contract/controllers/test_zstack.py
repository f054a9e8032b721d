"""The kind zstack: the conformance suite, and what is ZStack's own, against a double."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
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
from memleash_responder.controller_settings import ZstackSettings, ZstackWork
from memleash_responder.core.facts import Host, Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.errors import ControllerError, ReconnectFailed
from memleash_toolkit.values import Duration
from tests.contract.controllers.conformance import *  # noqa: F403
from tests.contract.controllers.conformance import RESTART, reconnect, state, tasks
from tests.contract.controllers.driver import AGENT, clients_of
from tests.support.zstack.rest import ACCOUNT, KEY_ID, KEY_SECRET, PASSWORD
from tests.support.zstack.server import Zstack

HANGS_AFTER = Duration(0.2)


class ZstackDriver:
    """A ZStack with one host, whose UUID stands in a label of the inventory."""

    def __init__(self, zstack: Zstack, settings: ZstackSettings) -> None:
        self.zstack = zstack
        self.settings = settings
        self.uuid = zstack.add_host("node-1")
        labels = {"host": "node-1", "zstack_uuid": self.uuid}
        self.host = Host("node-1", "127.0.0.1:1", "node-1", labels)
        self.unknown = Host("node-2", "127.0.0.1:1", "node-2", {"zstack_uuid": "0" * 32})
        self.restarted: list[str] = []

    def run_task(self, name: str) -> None:
        self.zstack.run(self.uuid, name)

    def queue_task(self) -> None:
        self.zstack.queue(self.uuid, "start-vm-8")

    def is_drained(self) -> bool:
        return str(self.zstack.hosts[self.uuid]["state"]) == "Disabled"

    def drain_by_somebody(self) -> None:
        self.zstack.hosts[self.uuid]["state"] = "Disabled"

    def begin_maintenance(self) -> None:
        self.zstack.hosts[self.uuid]["state"] = "Maintenance"

    def is_in_maintenance(self) -> bool:
        return str(self.zstack.hosts[self.uuid]["state"]) == "Maintenance"

    def kill_node(self) -> None:
        self.zstack.nodes["mn-2"] = 3600.0

    def hang(self) -> None:
        self.settings = dataclasses.replace(self.settings, timeout=HANGS_AFTER)
        self.zstack.faults.hang = True

    def slow_down(self) -> None:
        self.zstack.faults.seconds = 0.05

    def expire_login(self) -> None:
        self.zstack.expire_sessions()

    def halve_answers(self) -> None:
        self.zstack.faults.halves |= {"runningTask", "state"}

    def take_long(self) -> None:
        self.zstack.faults.job_polls = 5

    def refuse_reconnects(self) -> None:
        self.zstack.faults.reconnect_error = "kvmagent does not answer"

    def restart_agent_on_reconnect(self) -> None:
        self.zstack.ansible_restarts = True

    def reconnects(self) -> int:
        return self.zstack.reconnects


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("zstack", "zstack_api"):
        name = f"memleash_responder.adapters.controllers.{module}._POLL_SECONDS"
        monkeypatch.setattr(name, 0.01)


@pytest.fixture
def zstack() -> Zstack:
    return Zstack()


@pytest.fixture(params=["account", "access key"])
def driver(
    request: pytest.FixtureRequest, zstack: Zstack, tmp_path: Path
) -> Iterator[ZstackDriver]:
    with zstack.served() as url:
        yield ZstackDriver(zstack, settings(url, tmp_path, request.param))


@pytest.fixture
def signed(zstack: Zstack, tmp_path: Path) -> Iterator[ZstackDriver]:
    """One that has an access key."""
    with zstack.served() as url:
        yield ZstackDriver(zstack, settings(url, tmp_path, "access key"))


def settings(url: str, folder: Path, how: str, **changes: Any) -> ZstackSettings:
    (folder / "password").write_text(PASSWORD)
    (folder / "key").write_text(f"{KEY_ID}:{KEY_SECRET}\n")
    login = {"account": ACCOUNT, "password_file": folder / "password"}
    key = {"access_key_file": folder / "key"}
    given = {"url": url, "host_label": "zstack_uuid", **(login if how == "account" else key)}
    return ZstackSettings("cloud", **given, **changes)  # type: ignore[arg-type]


def why(said: object) -> str:
    assert isinstance(said, Unknown)
    return said.why


# -- who asks -------------------------------------------------------------------------------------


def test_one_login_serves_many_calls(zstack: Zstack, tmp_path: Path) -> None:
    with zstack.served() as url:
        driver = ZstackDriver(zstack, settings(url, tmp_path, "account"))
        clients = clients_of(driver)
        for _ in range(3):
            assert tasks(clients, driver) == ()
        assert zstack.logins == 1


def test_a_login_that_is_refused_is_not_tried_for_ever(zstack: Zstack, tmp_path: Path) -> None:
    with zstack.served() as url:
        driver = ZstackDriver(zstack, settings(url, tmp_path, "account"))
        (tmp_path / "password").write_text("another")
        assert "ID.1000: Authentication failed" in why(tasks(clients_of(driver), driver))
        assert zstack.asked == ["PUT /accounts/login"]


def test_the_context_path_and_the_query_are_not_signed(signed: ZstackDriver) -> None:
    assert tasks(clients_of(signed), signed) == ()
    assert "GET /hosts/task-details" in signed.zstack.asked


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        (f"{KEY_ID}:wrong", "wrong access key or signature"),
        ("only-an-id", "must hold one line, ID:SECRET"),
        ("", "must be one line of plain ASCII text"),
    ],
)
def test_a_key_that_is_no_good_is_unknown(
    signed: ZstackDriver, tmp_path: Path, secret: str, problem: str
) -> None:
    (tmp_path / "key").write_text(secret)
    assert problem in why(tasks(clients_of(signed), signed))


@pytest.mark.parametrize("checks_time_zone", [False, True])
@pytest.mark.parametrize(
    ("zone", "hours"), [("UTC", 0), ("Asia/Shanghai", 8), ("Asia/Kolkata", 5.5)]
)
def test_a_request_is_dated_by_the_wall_clock_of_the_nodes(
    signed: ZstackDriver, zone: str, hours: float, *, checks_time_zone: bool
) -> None:
    """ZStack ignores the zone of a date, unless rest.checkTimeZone is set."""
    signed.zstack.clock_offset = datetime.timedelta(hours=hours)
    signed.zstack.checks_time_zone = checks_time_zone
    signed.settings = dataclasses.replace(signed.settings, time_zone=zone)
    assert tasks(clients_of(signed), signed) == ()


def test_a_date_that_is_too_far_off_is_unknown(signed: ZstackDriver) -> None:
    signed.zstack.clock_offset = datetime.timedelta(minutes=16)
    assert "answered 403: requestTimeTooSkewed" in why(tasks(clients_of(signed), signed))


# -- tasks ----------------------------------------------------------------------------------------


def test_a_reconnect_of_the_host_is_no_task(signed: ZstackDriver) -> None:
    signed.run_task(f"reconnect-host-{signed.uuid}")
    assert tasks(clients_of(signed), signed) == ()


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ({"apiName": "APIMigrateVmMsg"}, "APIMigrateVmMsg"),
        ({"apiName": None}, "migrate"),
        ({"apiName": None, "name": None}, "org.zstack.core.thread.ChainTask"),
    ],
)
def test_a_task_shows_its_apis_name_first(
    signed: ZstackDriver, raw: dict[str, Any], name: str
) -> None:
    task = {**signed.zstack.task("migrate"), **raw}
    signed.zstack.running[signed.uuid] = [task]
    running = tasks(clients_of(signed), signed)
    assert isinstance(running, tuple)
    assert [one.name for one in running] == [name]


def test_pending_tasks_count_where_it_is_configured(signed: ZstackDriver) -> None:
    signed.queue_task()
    both = (ZstackWork.RUNNING, ZstackWork.PENDING)
    signed.settings = dataclasses.replace(signed.settings, count=both)
    running = tasks(clients_of(signed), signed)
    assert isinstance(running, tuple)
    assert [one.name for one in running] == ["start-vm-8"]


@pytest.mark.parametrize("key", ["results", "runningTask", "heartBeat", "inventories"])
def test_a_key_that_is_missing_is_unknown(signed: ZstackDriver, key: str) -> None:
    signed.zstack.faults.halves.add(key)
    assert isinstance(tasks(clients_of(signed), signed), Unknown)


@pytest.mark.parametrize(
    "failing", ["GET /hosts/task-details", "GET /core/task-details", "GET /management-nodes"]
)
def test_an_error_of_any_question_about_tasks_is_unknown(
    signed: ZstackDriver, failing: str
) -> None:
    signed.zstack.faults.errors.add(failing)
    assert "SYS.1000: An internal error" in why(tasks(clients_of(signed), signed))


@pytest.mark.parametrize("age", [0.0, 20.0])
def test_nodes_that_give_a_sign_now_and_then_are_alive(signed: ZstackDriver, age: float) -> None:
    signed.zstack.nodes["mn-2"] = age
    assert tasks(clients_of(signed), signed) == ()


def test_a_node_that_went_silent_is_named(signed: ZstackDriver) -> None:
    signed.kill_node()
    assert "management node mn-2 has given no sign of late" in why(
        tasks(clients_of(signed), signed)
    )


# -- drains, maintenance, states ------------------------------------------------------------------


def test_the_mark_is_there_before_the_host_is_disabled(signed: ZstackDriver) -> None:
    clients_of(signed).drain(signed.host, AGENT, RESTART)
    asked = signed.zstack.asked
    tagged = asked.index("POST /user-tags")
    assert tagged < asked.index(f"PUT /hosts/{signed.uuid}/actions")
    assert [one["tag"] for one in signed.zstack.tags.values()] == [f"memleash: {RESTART}"]


def test_an_undrain_leaves_no_tag(signed: ZstackDriver) -> None:
    clients = clients_of(signed)
    clients.drain(signed.host, AGENT, RESTART)
    clients.undrain(signed.host, AGENT, RESTART)
    assert signed.zstack.tags == {}


def test_a_drain_that_fails_leaves_nothing_behind_its_undrain(signed: ZstackDriver) -> None:
    clients = clients_of(signed)
    signed.zstack.faults.errors.add("PUT /hosts/")
    with pytest.raises(ControllerError, match="An internal error"):
        clients.drain(signed.host, AGENT, RESTART)
    clients.undrain(signed.host, AGENT, RESTART)
    assert signed.zstack.tags == {}
    assert not signed.is_drained()


def test_answers_that_are_lost_are_asked_for_again_and_nothing_is_done_twice(
    signed: ZstackDriver,
) -> None:
    clients = clients_of(signed)
    for _ in range(2):  # the second time, ids of the first are used up
        signed.zstack.faults.cut = 3
        clients.drain(signed.host, AGENT, RESTART)
        assert signed.is_drained()
        assert len(signed.zstack.tags) == 1
        signed.zstack.faults.cut = 3
        clients.undrain(signed.host, AGENT, RESTART)
        assert not signed.is_drained()
    signed.zstack.faults.cut = 2
    reconnect(clients, signed)
    assert signed.zstack.reconnects == 1


@pytest.mark.parametrize("word", ["PreMaintenance", "Maintenance"])
def test_nothing_takes_a_host_out_of_maintenance(signed: ZstackDriver, word: str) -> None:
    clients = clients_of(signed)
    clients.drain(signed.host, AGENT, RESTART)
    signed.zstack.hosts[signed.uuid]["state"] = word
    with pytest.raises(ControllerError, match=f"is in {word}"):
        clients.drain(signed.host, AGENT, RESTART)
    with pytest.raises(ReconnectFailed, match=f"is in {word}"):
        reconnect(clients, signed)
    clients.undrain(signed.host, AGENT, RESTART)
    assert signed.zstack.left_maintenance == []
    assert signed.zstack.tags == {}, "whoever ends the maintenance has the last word"


def test_maintenance_that_begins_in_the_middle_of_a_drain_stays(signed: ZstackDriver) -> None:
    """A second drain of one restart is answered by the first one's job."""
    clients = clients_of(signed)
    clients.drain(signed.host, AGENT, RESTART)
    clients.undrain(signed.host, AGENT, RESTART)

    class Watched(list[str]):
        def append(self, asked: str) -> None:
            if asked.startswith("GET /api-jobs/"):
                signed.zstack.hosts[signed.uuid]["state"] = "PreMaintenance"
            super().append(asked)

    disabling = len(signed.zstack.asked)
    signed.zstack.asked = Watched(signed.zstack.asked)
    with pytest.raises(ControllerError, match="it is in PreMaintenance"):
        clients.drain(signed.host, AGENT, RESTART)
    asked = signed.zstack.asked[disabling:]
    assert asked.count(f"PUT /hosts/{signed.uuid}/actions") == 1
    assert signed.zstack.left_maintenance == []


@pytest.mark.parametrize(
    ("status", "called"),
    [
        ("Connected", HostState.CONNECTED),
        ("Connecting", HostState.CONNECTING),
        ("Disconnected", HostState.DISCONNECTED),
    ],
)
def test_a_hosts_status_is_its_state(signed: ZstackDriver, status: str, called: HostState) -> None:
    signed.zstack.hosts[signed.uuid]["status"] = status
    assert state(clients_of(signed), signed) is called


@pytest.mark.parametrize(("key", "word"), [("status", "Rebooting"), ("state", "Sleeping")])
def test_a_word_that_is_not_known_is_unknown(signed: ZstackDriver, key: str, word: str) -> None:
    signed.zstack.hosts[signed.uuid][key] = word
    assert word in why(state(clients_of(signed), signed))


# -- reconnects, doubts ---------------------------------------------------------------------------


def test_a_reconnect_after_a_crash_waits_for_the_one_that_was_begun(signed: ZstackDriver) -> None:
    for _ in range(2):
        clients_of(signed).reconnect(signed.host, AGENT, RESTART, timeout_seconds=60, life=1e9)
    assert signed.zstack.reconnects == 1


def test_another_life_is_reconnected_anew(signed: ZstackDriver) -> None:
    for life in (1e9, 1e9 + 60):
        clients_of(signed).reconnect(signed.host, AGENT, RESTART, timeout_seconds=60, life=life)
    assert signed.zstack.reconnects == 2


def test_a_reconnect_that_failed_is_asked_for_anew(signed: ZstackDriver) -> None:
    signed.refuse_reconnects()
    clients = clients_of(signed)
    with pytest.raises(ReconnectFailed, match=r"HOST\.1003.*kvmagent does not answer"):
        clients.reconnect(signed.host, AGENT, RESTART, timeout_seconds=60, life=1e9)
    signed.zstack.faults.reconnect_error = ""
    clients.reconnect(signed.host, AGENT, RESTART, timeout_seconds=60, life=1e9)
    assert state(clients, signed) is HostState.CONNECTED


def test_a_job_that_zstack_has_forgotten_is_a_failure(signed: ZstackDriver) -> None:
    def forget(_: str) -> bool:
        signed.zstack.forget_jobs()
        return False

    signed.zstack.answers = forget
    with pytest.raises(ReconnectFailed, match="answered 404: the job has been expired"):
        reconnect(clients_of(signed), signed)


def test_a_202_without_a_job_is_a_failure(signed: ZstackDriver) -> None:
    signed.zstack.faults.halves.add("location")
    with pytest.raises(ReconnectFailed, match="answered 202 without a job"):
        reconnect(clients_of(signed), signed)


def test_hosts_that_zstack_does_not_know_are_told_at_the_start(signed: ZstackDriver) -> None:
    clients = ControllerClients((signed.settings,), lambda: (signed.host, signed.unknown))
    assert clients.doubts(AGENT) == {"cloud": f"it does not know {'0' * 32}"}


# -- whatever is answered --------------------------------------------------------------------------

HOST = Host("node-1", "127.0.0.1:1", "node-1", {"host": "node-1"})
KEYS = st.sampled_from(
    [
        *("results", "node-1", "Host-node-1", "runningTask", "pendingTask", "apiName", "name"),
        *("inventories", "state", "status", "heartBeat", "hostName", "tag", "uuid", "error"),
        *("code", "description", "details", "location", "inventory"),
    ]
)
WORDS = st.sampled_from(["Enabled", "Connected", "memleash", "Nov 27, 2026 4:25:31 PM", "9" * 400])
TREES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=12,
)


@hypothesis_settings(max_examples=100)
@given(tree=TREES, status=st.sampled_from([200, 202, 400, 503]))
def test_whatever_zstack_answers_is_understood_or_unknown(tree: Any, status: int) -> None:
    answer = http.Answer(status, {}, json.dumps(tree).encode(), "GET http://mn/")
    settings = ZstackSettings("cloud", url="http://mn/v1", access_key_file=Path("unused"))
    clients = ControllerClients((dataclasses.replace(settings, timeout=HANGS_AFTER),))
    with (
        mock.patch.object(http, "request", return_value=answer),
        mock.patch.object(http, "read_secret", return_value="id:secret"),
    ):
        (said,) = clients.tasks(HOST, AGENT)
        assert isinstance(said.running, tuple | Unknown)
        (called,) = clients.states(HOST)
        assert isinstance(called.state, HostState | Unknown)
        with contextlib.suppress(ControllerError):
            clients.undrain(HOST, AGENT, RESTART)
