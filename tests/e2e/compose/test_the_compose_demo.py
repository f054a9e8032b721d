"""`docker compose up`: within three minutes a leak, a muted ping and a guarded restart are seen.

Everything is looked at through the published ports, as a person would.
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.stack.http import CallFailed, call, get
from demo.stack.processes import NotInTime, wait_until
from tests.e2e.compose.stack import Compose, query, url, value
from tests.e2e.docker import docker

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

_THREE_MINUTES = 180
_MIB = 1024**2


@pytest.fixture(scope="module", params=["plain", "ha"])
def compose(
    request: pytest.FixtureRequest, standins: dict[str, str], sources: Path
) -> Iterator[Compose]:
    variables = {**standins, "MEMLEASH_CONTEXT": str(sources), "PIP_NO_INDEX": "1"}
    stack = Compose(None if request.param == "plain" else request.param, variables)
    try:
        stack.up()
        yield stack
        if request.session.testsfailed:
            print(stack.logs())
    finally:
        stack.down()


@pytest.fixture(scope="module")
def deadline(compose: Compose) -> float:
    """When the three minutes since the stack came up are over."""
    return time.monotonic() + _THREE_MINUTES


def _see(what: str, look: Callable[[], Any], deadline: float) -> Any:
    def patient() -> Any:
        try:
            return look()
        except CallFailed:
            return None

    left_seconds = max(1.0, deadline - time.monotonic())
    return wait_until(what, patient, timeout_seconds=left_seconds, every_seconds=0.5)


def _restarts(host: str) -> list[Any]:
    restarts = get(url("responder", "/api/v1/restarts"))["restarts"]
    return [each for each in restarts if each["host"] == host]


def test_the_leak_is_seen(compose: Compose, deadline: float) -> None:
    resident = 'memleash_agent_resident_memory_bytes{host="host-1"}'
    _see("host-1 above 96 MiB", lambda: (value(resident) or 0) > 96 * _MIB, deadline)
    alert = 'ALERTS{alertname="AgentMemoryAboveThreshold",alertstate="firing",host="host-1"}'
    _see("its alert", lambda: query(alert), deadline)
    (slow,) = query('memleash_agent_resident_memory_bytes{host="host-2"}')
    assert float(slow["value"][1]) < 96 * _MIB


def test_the_ping_of_the_busy_host_is_muted(compose: Compose, deadline: float) -> None:
    def silence() -> Any:
        for each in get(url("alertmanager", "/api/v2/silences")):
            matchers = {matcher["name"]: matcher["value"] for matcher in each["matchers"]}
            if each["status"]["state"] == "active" and matchers.get("host") == "host-3":
                return matchers
        return None

    matchers = _see("a silence for host-3", silence, deadline)
    assert matchers == {"alertname": "HostPingFailed", "host": "host-3"}
    muted = 'memleash_responder_mute_deadline_timestamp_seconds{host="host-3"} > time()'
    _see("the mute in the metrics", lambda: query(muted), deadline)


def test_the_leaking_agent_is_restarted_once_with_all_guards(
    compose: Compose, deadline: float
) -> None:
    def restarted() -> Any:
        return next((each for each in _restarts("host-1") if each["outcome"] == "restarted"), None)

    restart = _see("host-1 restarted", restarted, deadline)
    assert restart["agent"] == "sample-agent"
    state = 'memleash_responder_host_state{host="host-1",state="connected"} == 1'
    _see("host-1 connected again", lambda: query(state), deadline)
    services = compose("exec", "-T", "host-1", "cat", "/run/demo/agent/service.log").splitlines()
    wanted = sum(each["outcome"] == "restarted" for each in _restarts("host-1"))
    assert 2 <= len(services) <= wanted + 2  # the first start, the restarts, one under way at most


def _report(place: str, compose: Compose) -> bytes:
    """Return a report's tar.gz from the replica that took it: each keeps its own."""
    replicas = ["responder", *(["responder-2"] if compose.profile == "ha" else [])]
    for replica in replicas:
        with contextlib.suppress(urllib.error.HTTPError):
            address = url(replica, f"/api/v1/reports/{place}")
            with urllib.request.urlopen(address, timeout=60) as answer:
                return bytes(answer.read())
    raise AssertionError(f"no replica has {place}")


def test_the_leak_was_diagnosed_and_the_report_names_it(compose: Compose, deadline: float) -> None:
    def diagnosed() -> Any:
        diagnoses = get(url("responder", "/api/v1/diagnoses?host=host-1"))["diagnoses"]
        return next((each for each in diagnoses if each["outcome"] == "diagnosed"), None)

    diagnosis = _see("a diagnosis of host-1", diagnosed, deadline + _THREE_MINUTES)
    packed = io.BytesIO(_report(f"host-1/sample-agent/{diagnosis['report']}", compose))
    with tarfile.open(fileobj=packed) as report:
        text = report.extractfile("report.md")
        assert text is not None
        _, _, grown = text.read().decode().partition("## What grew in every round\n\n")
    assert grown.startswith("- list `__main__.KEPT` grew by ")


def test_people_were_told_of_the_leak_and_not_of_the_muted_ping(
    compose: Compose, deadline: float
) -> None:
    def told(alertname: str) -> list[Any]:
        pages = get(url("pager", "/pages"))
        return [page for page in pages if page["labels"]["alertname"] == alertname]

    _see("a page about memory", lambda: told("AgentMemoryAboveThreshold"), deadline)
    assert told("HostPingFailed") == []
    assert told("AgentBusy") == []


def test_the_responder_can_be_read_but_not_worked_without_its_token(compose: Compose) -> None:
    assert get(url("responder", "/api/v1/hosts"))
    with pytest.raises(CallFailed) as refused:
        call("POST", url("responder", "/api/v1/pause"))
    assert refused.value.status in (401, 403)
    with pytest.raises(CallFailed) as refused:
        call("POST", url("responder", "/api/v1/alertmanager"), {})
    assert refused.value.status in (401, 403)


def test_the_file_is_valid_and_holds_no_secret(compose: Compose) -> None:
    assert compose("config", "--quiet") == ""
    services = json.loads(compose("config", "--format", "json"))["services"]
    for name, service in services.items():
        for variable, given in service.get("environment", {}).items():
            secret = "PASSWORD" in variable or "TOKEN" in variable or "KEY" in variable
            assert not secret or given.startswith("/secrets/"), (name, variable)


def test_every_container_is_confined(compose: Compose) -> None:
    names = compose("ps", "--all", "--format", "{{.Name}}").split()
    assert len(names) == len(compose.services())
    for inspected in json.loads(docker("inspect", *names)):
        host, name = inspected["HostConfig"], inspected["Name"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert inspected["Config"]["User"] not in ("", "root", "0"), name
        assert inspected["State"]["Status"] == "running" or inspected["State"]["ExitCode"] == 0


def test_two_replicas_tell_the_same_and_one_goes_on_alone(
    compose: Compose, deadline: float
) -> None:
    if compose.profile != "ha":
        with pytest.raises(CallFailed):
            get(url("responder-2", "/-/ready"))
        return
    hosts = {
        part: {each["host"]: each["state"] for each in get(url(part, "/api/v1/hosts"))["hosts"]}
        for part in ("responder", "responder-2")
    }
    assert (
        hosts["responder"].keys() == hosts["responder-2"].keys() == {"host-1", "host-2", "host-3"}
    )

    compose("kill", "responder-1")
    before = get(url("responder-2", "/api/v1/restarts"))["restarts"]

    def another() -> bool:
        now = get(url("responder-2", "/api/v1/restarts"))["restarts"]
        return _restarted(now) > _restarted(before)

    try:
        _see("a restart by the replica left", another, time.monotonic() + _THREE_MINUTES)
    except NotInTime as error:
        raise AssertionError(f"{error}; {before}") from error


def _restarted(restarts: list[Any]) -> int:
    return sum(each["host"] == "host-1" and each["outcome"] == "restarted" for each in restarts)
