"""A lost host is reconnected on as much proof as a restart demands, or on a person's word.

One responder, and a host for each way in which a restart can leave a host in doubt.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from demo.stack.fake_peers import CONTROLLERS
from demo.stack.http import Json, post
from demo.stack.loopback_hosts import Fleet, Member, running
from demo.stack.processes import wait_until
from demo.stack.responder import Responder
from tests.integration.restart.faults import TWO_AGENTS

pytestmark = pytest.mark.integration

FEW_PROBES = {"readiness": {"probes": 2, "timeout": "1s", "interval": "250ms"}}
HELD_UP = "until [ -e {folder}/go ]; do sleep 0.1; done; {service} restart"
"""A restart that goes on only when the test says so, whoever waits for it."""

MEMBERS = [
    Member("outlives", command=HELD_UP),
    Member("refuses", command="exit 3"),
    Member("doubles", command=TWO_AGENTS, settings=FEW_PROBES),
    Member("leaves", command=HELD_UP),
]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running(tmp_path_factory.mktemp("proof"), MEMBERS) as fleet:
        fleet.start_agents(fleet.members)
        yield fleet


@pytest.fixture(scope="module")
def responder(fleet: Fleet) -> Iterator[Responder]:
    """Every member's agent has been over its limit, and its restart has been begun."""
    with fleet.responder("proof") as responder:
        responder.become("tests.support.hurried_responder")
        responder.program.start()
        responder.alert(*fleet.members)
        yield responder


def is_lost(responder: Responder, host: str) -> Json:
    request = responder.finished(host)
    assert responder.state(host) == "disconnected"
    return request


def has_said(responder: Responder, host: str, reason: str) -> Callable[[], bool]:
    """Whether recovery looked at a host and said why it leaves it."""

    def look() -> bool:
        lines = responder.program.log.read_text(encoding="utf-8").splitlines()
        return any(
            "host stays disconnected" in line and f"host={host} " in line and reason in line
            for line in lines
        )

    return look


def is_reconnected(fleet: Fleet, responder: Responder, host: str) -> None:
    wait_until(
        f"{host} to be reconnected",
        lambda: responder.state(host) == "connected",
        timeout_seconds=120,
        seen=lambda: responder.program.log.read_text(encoding="utf-8")[-2000:],
    )
    assert fleet.peers.drained(host) == set()


def test_a_command_that_outlives_its_timeout_strikes_before_the_host_is_reconnected(
    fleet: Fleet, responder: Responder
) -> None:
    """Seen: reconnected at 17 s by the old process, and struck at 31 s with a task running."""
    assert is_lost(responder, "outlives")["outcome"] == "command_failed"
    wait_until("a look", has_said(responder, "outlives", "the old process is still running"))
    assert fleet.peers.drained("outlives") == set(CONTROLLERS)
    assert fleet.starts("outlives") == 1
    (fleet.service("outlives") / "go").touch()
    is_reconnected(fleet, responder, "outlives")
    assert fleet.starts("outlives") == 2


def test_only_a_person_reconnects_an_old_process(fleet: Fleet, responder: Responder) -> None:
    """Seen: undrained within a second of command_failed."""
    is_lost(responder, "refuses")
    wait_until("a look", has_said(responder, "refuses", "the old process is still running"))
    assert fleet.peers.drained("refuses") == set(CONTROLLERS)
    post(f"{responder.url}/api/v1/hosts/refuses/reconnect", {})
    is_reconnected(fleet, responder, "refuses")
    request = responder.request("refuses")
    assert request["facts"]["taken_back_by"] == "local"
    assert fleet.starts("refuses") == 1


def test_of_two_agents_that_a_restart_left_neither_counts_as_the_new_one(
    fleet: Fleet, responder: Responder
) -> None:
    assert is_lost(responder, "doubles")["outcome"] == "not_ready"
    wait_until("a look", has_said(responder, "doubles", "that it is the only one"))
    assert fleet.peers.drained("doubles") == set(CONTROLLERS)
    folder = fleet.service("doubles")
    os.kill(pid_in(folder / "first.pid"), signal.SIGKILL)
    os.kill(pid_in(folder / "agent.pid"), signal.SIGCONT)
    is_reconnected(fleet, responder, "doubles")


def pid_in(file: Path) -> int:
    return int(file.read_text(encoding="ascii"))


def test_a_host_that_leaves_the_inventory_in_the_middle_is_undrained_all_the_same(
    fleet: Fleet, responder: Responder
) -> None:
    wait_until("leaves to be drained", lambda: fleet.peers.drained("leaves") == set(CONTROLLERS))
    file = fleet.folder / "hosts.yml"
    hosts = yaml.safe_load(file.read_text(encoding="utf-8"))
    staying = [group for group in hosts if group["labels"]["host"] != "leaves"]
    file.with_suffix(".new").write_text(yaml.safe_dump(staying), encoding="utf-8")
    file.with_suffix(".new").replace(file)
    wait_until(
        "leaves to be undrained",
        lambda: fleet.peers.drained("leaves") == set(),
        timeout_seconds=120,
        seen=lambda: responder.program.log.read_text(encoding="utf-8")[-2000:],
    )
    (fleet.service("leaves") / "go").touch()
