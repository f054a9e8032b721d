"""Every fault ends in its word, with the host's state, its mute and its drain as they should be.

One responder deals with all hosts at once; each row of ``faults`` is one host.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo import http_server
from demo.stack.fake_peers import CONTROLLERS, Peers
from demo.stack.http import Json, get, post
from demo.stack.loopback_hosts import Fleet, Member, Patience, running
from demo.stack.processes import wait_until
from demo.stack.responder import Responder
from memleash_responder.core.steps import Step
from tests.integration.adapters.fake_sshd import FakeSshd
from tests.integration.adapters.neighbours import keygen, start_sshd
from tests.integration.restart.faults import FAULTS, Row

pytestmark = pytest.mark.integration

ENDS = pytest.mark.parametrize("row", FAULTS, ids=[row.fault for row in FAULTS])


@dataclasses.dataclass(frozen=True)
class Addresses:
    """Where something is wrong, by the names that the rows use."""

    by_name: dict[str, str]
    known_hosts: str
    """What known_hosts says of them."""


@contextlib.contextmanager
def faulty_servers(folder: Path) -> Iterator[Addresses]:
    """Run an SSH server for each fault of SSH; and what exporters may be instead."""
    with contextlib.ExitStack() as stack:
        folder.mkdir()

        def listening(backlog: int) -> str:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen(backlog)
            return f"127.0.0.1:{listener.getsockname()[1]}"

        black_hole = listening(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", int(black_hole.split(":")[1])))
        closed = stack.enter_context(socket.socket())
        closed.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{closed.getsockname()[1]}"
        nonsense, digits = (stack.enter_context(Peers().serving()) for _ in range(2))
        digits.exposition = b"some_metric 1 " + b"9" * 400
        fake_key = keygen(folder / "fake_key")
        no_channel = stack.enter_context(FakeSshd(fake_key, "channel").running())
        strangers = start_sshd(stack, folder)  # its authorized_keys do not have our key
        wrong = start_sshd(stack, folder)
        unknown = start_sshd(stack, folder)
        other = keygen(folder / "other_key")
        known = [
            (no_channel, fake_key),
            (strangers.port, strangers.host_key),
            (wrong.port, other),
        ]
        yield Addresses(
            {
                "dead": dead,
                "nonsense": nonsense.url.removeprefix("http://"),
                "digits": digits.url.removeprefix("http://"),
                "refused": dead,
                "black_hole": black_hole,
                "silent": listening(8),
                "no_channel": f"127.0.0.1:{no_channel}",
                "no_auth": f"127.0.0.1:{strangers.port}",
                "wrong_key": f"127.0.0.1:{wrong.port}",
                "unknown_key": f"127.0.0.1:{unknown.port}",
            },
            "".join(
                f"[127.0.0.1]:{port} {key.with_suffix('.pub').read_text()}" for port, key in known
            ),
        )


@dataclasses.dataclass
class ForgetfulExporter:
    """Says what the fleet's exporter says, but not what a second process of its agent holds.

    A real one says neither more nor less where a descendant is hidden from it (hidepid=2).
    """

    agent: str = "memory-of-the-new-process-unknown"
    real_one: str = ""
    """Where the fleet's exporter serves, once there is one."""
    _first_life: str = ""

    def answer(self, _asked: http_server.Request) -> http_server.Reply:
        text, of_it = str(get(self.real_one)), f'{{agent="{self.agent}"}}'
        life = re.search(f"^memleash_agent_start_time_seconds{of_it} .*$", text, re.MULTILINE)
        self._first_life = self._first_life or (life[0] if life else "")
        if life and life[0] != self._first_life:
            success = f"memleash_agent_sample_success{of_it}"
            text = re.sub(f"memleash_agent_limited_memory_bytes{of_it} .*\n", "", text)
            text = text.replace(f"{success} 1.0\n", f"{success} 0.0\n")
        return http_server.Reply(body=text.encode())


def member_of(row: Row, addresses: Addresses) -> Member:
    changes: dict[str, Any] = {
        name: addresses.by_name[value] if name.endswith("_address") else value
        for name, value in row.member.items()
    }
    return Member(row.host, **changes)


def plan_faults(fleet: Fleet) -> None:
    """Have the peers answer about each row's host as the row says."""
    for row in FAULTS:
        for call, replies in row.peers.items():
            fleet.peers.faults[call, row.host] = [
                dataclasses.replace(
                    reply,
                    headers={
                        name: value.format(host=row.host) for name, value in reply.headers.items()
                    },
                    at_once=fleet.filled_in(reply.at_once, row.host),
                )
                for reply in replies
            ]


@dataclasses.dataclass(frozen=True)
class Dealt:
    """All rows, dealt with."""

    fleet: Fleet
    responder: Responder
    requests: dict[str, Json]


@pytest.fixture(scope="module")
def dealt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dealt]:
    """Tell one responder of every row's agent at once, and wait until each has its word."""
    folder = tmp_path_factory.mktemp("faults")
    with contextlib.ExitStack() as stack:
        addresses = stack.enter_context(faulty_servers(folder / "servers"))
        forgetful = ForgetfulExporter()
        served = stack.enter_context(http_server.serving(forgetful.answer))
        addresses.by_name["forgetful"] = served.address
        members = [member_of(row, addresses) for row in FAULTS]
        fleet = stack.enter_context(
            # One exporter of all would be asked for all, by everyone who asks for one.
            running(folder / "fleet", members, agents_per_exporter=16, patience=Patience(peer=10))
        )
        forgetful.real_one = fleet.metrics_url(forgetful.agent)
        with fleet.sshd.known_hosts_file.open("a", encoding="ascii") as known_hosts:
            known_hosts.write(addresses.known_hosts)
        plan_faults(fleet)
        fleet.start_agents(fleet.members)
        controllers = fleet.controllers(with_states=True)
        responder = stack.enter_context(fleet.responder("faults", controllers=controllers))
        responder.start()
        responder.alert(*(row.host for row in FAULTS if not row.forced))
        for host in (row.host for row in FAULTS if row.forced):
            asked = {"host": host, "agent": host, "force": True}
            post(f"{responder.url}/api/v1/restarts", asked, timeout_seconds=60)
        deadline = time.monotonic() + 200
        requests = {
            row.host: responder.finished(row.host, timeout_seconds=deadline - time.monotonic())
            for row in FAULTS
        }
        yield Dealt(fleet, responder, requests)


@ENDS
def test_a_fault_ends_in_its_word_and_says_why(dealt: Dealt, row: Row) -> None:
    request = dealt.requests[row.host]
    asked_by = "local" if row.forced else "alert"
    assert (request["outcome"], request["requested_by"]) == (row.outcome, asked_by), request
    assert row.reason in request["reason"]


@ENDS
def test_the_services_own_log_counts_what_was_restarted(dealt: Dealt, row: Row) -> None:
    assert dealt.fleet.starts(row.host) == row.starts


@ENDS
def test_the_host_ends_in_its_state(dealt: Dealt, row: Row) -> None:
    assert dealt.responder.state(row.host) == row.state


@ENDS
def test_a_lost_host_stays_drained_and_any_other_is_released(dealt: Dealt, row: Row) -> None:
    drained = set(CONTROLLERS) if row.state == "disconnected" else set()
    assert dealt.fleet.peers.drained(row.host) == drained


@ENDS
def test_nobody_is_kept_from_being_paged(dealt: Dealt, row: Row) -> None:
    wait_until(
        f"no silence for {row.host}",
        lambda: not dealt.fleet.peers.silenced(row.host),
        seen=lambda: dealt.fleet.peers.silences,
    )


@ENDS
def test_the_history_has_the_facts_and_the_time_of_each_step(dealt: Dealt, row: Row) -> None:
    request = dealt.requests[row.host]
    assert request["facts"]
    names = [step["step"] for step in request["steps"]]
    assert names == list(dict.fromkeys(names)), "no step was run twice"
    assert all(step["seconds"] >= 0 for step in request["steps"])
    if row.outcome == "restarted":
        assert names == list(Step)
        assert request["facts"]["new_life"] > request["facts"]["life"]


@pytest.mark.parametrize(
    ("host", "guard"), [("pings-in-error", "pings_unknown"), ("state-in-error", "state_unknown")]
)
def test_what_is_unknown_is_refused_by_its_own_guard_alone(
    dealt: Dealt, host: str, guard: str
) -> None:
    told = dealt.responder.get(f"/api/v1/hosts/{host}/agents/{host}/explain")
    assert [one["guard"] for one in told["guards"] if not one["passes"]] == [guard]
    assert told["verdict"] == dealt.requests[host]["outcome"]


def test_what_the_command_said_is_kept(dealt: Dealt) -> None:
    command = dealt.requests["command-fails"]["facts"]["command"]
    assert command["exit_code"] == 7
    assert command["stderr"].endswith("no such unit\n"), "after what the user's shell has to say"


def test_what_was_seen_when_no_new_life_came_is_kept(dealt: Dealt) -> None:
    facts = dealt.requests["old-process-stays"]["facts"]
    seen = facts["ready"]["agent"]
    assert (seen["up"], seen["start_time"]) == (True, facts["life"])
    assert seen["resident_bytes"] > facts["hard_limit_bytes"]
    assert facts["command"]["exit_code"] == 0


def test_a_new_life_that_is_over_the_limit_again_is_quarantined(dealt: Dealt) -> None:
    host = "over-the-limit-again"
    facts = dealt.requests[host]["facts"]
    assert facts["new_resident_bytes"] > facts["hard_limit_bytes"]
    (line,) = dealt.responder.samples("memleash_responder_quarantined")
    assert f'host="{host}"' in line
