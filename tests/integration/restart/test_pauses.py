"""Pauses by name, and what neither they nor a storm ever hold back: the reconnect of a host.

One responder and three hosts: one that a restart lost, one that is paused at its restart's end,
and one that is to wait.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.stack.fake_peers import Reply
from demo.stack.http import CallFailed, Json, post
from demo.stack.loopback_hosts import Fleet, Member, running
from demo.stack.processes import wait_until
from demo.stack.responder import Responder, notification, over_limit

pytestmark = pytest.mark.integration

HELD_UP = "until [ -e {folder}/go ]; do sleep 0.1; done; {service} restart"
MEMBERS = [Member("lost", command=HELD_UP), Member("ends"), Member("waits")]
PAUSE_AND_TELL = """
import urllib.request
for path, body in {calls!r}:
    headers = {{"Content-Type": "application/json"}}
    urllib.request.urlopen(urllib.request.Request({url!r} + path, body, headers), timeout=60)
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running(tmp_path_factory.mktemp("pauses"), MEMBERS) as fleet:
        fleet.start_agents(fleet.members)
        yield fleet


@pytest.fixture(scope="module")
def responder(fleet: Fleet) -> Iterator[Responder]:
    """A responder in a hurry, for which three of three hosts over their limit are a storm."""
    limits = {"max_concurrent_restarts": 8, "max_restarts_per_hour": 1000, "storm_fraction": 0.7}
    with fleet.responder("pauses", fleet=limits) as responder:
        responder.become("tests.support.hurried_responder")
        responder.program.start()
        yield responder


@pytest.fixture(autouse=True)
def nothing_paused(responder: Responder) -> Iterator[None]:
    """Leave no pause and no storm behind."""
    yield
    for name in resume(responder):
        resume(responder, name=name)


def pause(responder: Responder, **asked: str) -> Json:
    return post(f"{responder.url}/api/v1/pause", asked)


def resume(responder: Responder, **asked: str) -> list[str]:
    """End a pause and return the names of those that hold still."""
    return [one["name"] for one in post(f"{responder.url}/api/v1/resume", asked)["pauses"]]


def restart(responder: Responder, host: str) -> Any:
    """Ask for a restart, as a person; return how it ended and why."""
    post(f"{responder.url}/api/v1/restarts", {"host": host, "agent": host})
    ended = responder.finished(host)
    return ended["outcome"], ended["reason"]


def is_held_back(responder: Responder) -> tuple[float, float]:
    return responder.metric("memleash_responder_paused"), responder.metric(
        "memleash_responder_storm"
    )


def is_reconnected(fleet: Fleet, responder: Responder, host: str) -> None:
    """Wait until a host is connected, undrained and heard."""
    wait_until(
        f"{host} to be reconnected",
        lambda: responder.state(host) == "connected" and not fleet.peers.drained(host),
        timeout_seconds=120,
        seen=responder.program.log_end,
    )
    wait_until("it to be heard", lambda: not fleet.peers.silenced(host))


def test_neither_a_pause_nor_a_storm_holds_back_a_restarts_end_or_a_lost_hosts_return(
    fleet: Fleet, responder: Responder, tmp_path: Path
) -> None:
    """Both come while a controller is asked to reconnect: the pause, and the storm's last alert."""
    responder.alert("lost")
    assert responder.finished("lost")["outcome"] == "command_failed"
    calls = [
        ("/api/v1/pause", b'{"name": "rack-7", "reason": "it moves", "for": "1h"}'),
        ("/api/v1/alertmanager", notification(over_limit("waits"))),
    ]
    script = tmp_path / "pause_and_tell.py"
    script.write_text(PAUSE_AND_TELL.format(calls=calls, url=responder.url), encoding="utf-8")
    both = Reply({}, at_once=f"{sys.executable} {script}")
    fleet.peers.faults["mn-1 reconnect", "ends"] = [both, Reply({})]
    responder.alert("ends")

    assert responder.finished("ends")["outcome"] == "restarted"
    wait_until("the storm", lambda: is_held_back(responder) == (1, 1))
    is_reconnected(fleet, responder, "ends")
    assert responder.state("lost") == "disconnected"
    (fleet.service("lost") / "go").touch()
    is_reconnected(fleet, responder, "lost")
    assert responder.finished("waits")["outcome"] == "storm"
    assert is_held_back(responder) == (1, 1)
    assert resume(responder) == ["rack-7"], "the storm is gone past, and the pause holds"
    assert is_held_back(responder) == (1, 0)


def test_one_pause_is_resumed_without_the_others_and_a_refusal_names_each(
    responder: Responder,
) -> None:
    pause(responder, name="rack-7", reason="it moves", **{"for": "1h"})
    pause(responder, reason="who knows")
    outcome, reason = restart(responder, "waits")
    assert outcome == "paused"
    assert "rack-7 by local until 2" in reason
    assert "Z: it moves, default by local: who knows" in reason
    told = responder.samples("memleash_responder_pause_start_timestamp_seconds")
    assert [line.split('"')[1] for line in told] == ["rack-7", "default"]

    assert resume(responder) == ["rack-7"]
    assert restart(responder, "waits")[0] == "paused"
    assert resume(responder, name="rack-7") == []
    assert is_held_back(responder)[0] == 0
    assert restart(responder, "waits")[0] == "restarted"


def test_a_pause_ends_by_itself_also_while_no_responder_runs(responder: Responder) -> None:
    pause(responder, name="stays")
    pause(responder, name="short", **{"for": "1s"})
    responder.kill()
    responder.program.start()

    def names() -> list[str]:
        return [one["name"] for one in responder.get("/api/v1/status")["pauses"]]

    wait_until("the end of the short one", lambda: names() == ["stays"])
    log = responder.program.log
    wait_until("a word of it", lambda: "pause ended by itself" in log.read_text(encoding="utf-8"))
    assert resume(responder, name="stays") == []
    assert responder.get("/api/v1/status")["paused"] is False


@pytest.mark.parametrize(
    ("path", "asked", "status", "why"),
    [
        ("resume", {"name": "nobody"}, 404, "there is no pause called 'nobody'"),
        ("resume", {"name": "a b"}, 400, "name must be letters, digits"),
        ("pause", {"name": ""}, 400, "name must be letters, digits"),
        ("pause", {"until": "2020-01-01T00:00:00Z"}, 409, "would end at 2020-01-01T00:00:00Z"),
        ("pause", {"until": "soon"}, 400, "until must be an RFC 3339 time"),
        ("pause", {"for": "5 minutes"}, 400, "for must be a duration"),
        ("pause", {"for": "1h", "until": "2099-01-01T00:00:00Z"}, 400, "one of until and for"),
        ("pause", {"reason": "x" * 301}, 400, "at most 300 characters"),
        ("pause", {"why": "x"}, 400, "allowed: name, reason, until, for"),
    ],
)
def test_what_cannot_be_meant_changes_nothing(
    responder: Responder, path: str, asked: dict[str, str], status: int, why: str
) -> None:
    with pytest.raises(CallFailed, match=why) as refused:
        post(f"{responder.url}/api/v1/{path}", asked)
    assert refused.value.status == status
    assert is_held_back(responder)[0] == 0
