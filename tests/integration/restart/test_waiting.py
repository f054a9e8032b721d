"""A request for a busy agent waits as a row: it holds no host, and no place of the fleet's one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from demo.stack.fake_peers import Reply
from demo.stack.http import Json
from demo.stack.loopback_hosts import Fleet, Member, running
from demo.stack.processes import wait_until
from demo.stack.responder import Responder

pytestmark = pytest.mark.integration

WAITS = {"startup_grace": "0s", "wait_for_idle": "10m", "idle_interval": "500ms"}
GIVES_UP = {"startup_grace": "0s", "wait_for_idle": "1s", "idle_interval": "500ms"}
KILLED_AT = (
    "before:RestartWorkflow.begin",  # it has its place, and no workflow
    "after:record:verify",  # refused, with the host drained
    "after:Hosts.release",  # its host is released, and it does not wait yet
    "after:record:conclude",
)


def name_of(point: str) -> str:
    return f"killed-{point.replace(':', '-').replace('.', '-').replace('_', '-').lower()}"


MEMBERS = [
    *(Member(name, settings={"guards": WAITS}) for name in ("busy", "idle", "kept", "begun")),
    *(Member(name_of(point), settings={"guards": WAITS}) for point in KILLED_AT),
    Member("never-idle", settings={"guards": GIVES_UP}),
]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running(tmp_path_factory.mktemp("waiting") / "fleet", MEMBERS) as fleet:
        fleet.start_agents(fleet.members)
        yield fleet


@pytest.fixture
def responder(fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[Responder]:
    """A responder whose fleet has one place."""
    one = {"max_concurrent_restarts": 1, "max_restarts_per_hour": 1000, "storm_fraction": 1.0}
    with fleet.responder(request.node.name.replace("[", "-").strip("]"), fleet=one) as responder:
        yield responder


def waiting(responder: Responder, host: str) -> Json:
    """Return the request of ``host`` once it waits."""

    def look() -> Json:
        request = responder.request(host)
        return request if request and request["step"] == "waiting" else None

    return wait_until(f"{host} to wait", look, timeout_seconds=60, seen=responder.program.log_end)


def check_nothing_is_held(fleet: Fleet, responder: Responder, host: str) -> None:
    assert responder.state(host) == "connected"
    assert fleet.peers.drained(host) == set()
    wait_until(f"no silence for {host}", lambda: not fleet.peers.silenced(host))


def busy_once_drained(fleet: Fleet, host: str) -> None:
    """Have the agent get busy between the look at the request and the one behind the drain."""
    marker = fleet.folder / "busy" / host / "test.json"
    begin = f"mkdir -p {shlex.quote(str(marker.parent))} && echo '{{{{}}}}' > {marker}"
    fleet.peers.faults["mn-1 drain", host] = [
        Reply({}, at_once=begin.replace("{{", "{").replace("}}", "}")),
        Reply({}),
    ]


def test_a_busy_host_waits_and_the_idle_one_behind_it_is_restarted(
    fleet: Fleet, responder: Responder
) -> None:
    marker = fleet.mark_busy("busy")
    responder.start()
    responder.alert("busy")
    waits = waiting(responder, "busy")
    assert (waits["waits_for"], waits["reason"]) == ("busy", "waits: the agent is busy")
    responder.alert("idle")
    assert responder.finished("idle")["outcome"] == "restarted"
    assert waiting(responder, "busy")["id"] == waits["id"]
    check_nothing_is_held(fleet, responder, "busy")
    assert fleet.peers.of("busy") == [], "no controller was asked for anything"
    marker.unlink()
    ended = responder.finished("busy")
    assert (ended["outcome"], ended["attempt"]) == ("restarted", 0)
    assert [wait["for"] for wait in ended["facts"]["waits"]] == ["busy"]
    assert fleet.starts("busy") == 2


def test_what_never_gets_idle_ends_with_the_word_of_what_it_waited_for(
    fleet: Fleet, responder: Responder
) -> None:
    fleet.mark_busy("never-idle")
    responder.start()
    responder.alert("never-idle")
    ended = responder.finished("never-idle")
    assert ended["outcome"] == "busy"
    assert "the agent is busy; it was waited for" in ended["reason"]
    assert fleet.starts("never-idle") == 1


def test_what_waits_goes_on_waiting_in_the_next_life_of_the_responder(
    fleet: Fleet, responder: Responder
) -> None:
    marker = fleet.mark_busy("kept")
    responder.start()
    responder.alert("kept")
    waits = waiting(responder, "kept")
    responder.kill()
    responder.start()
    marker.unlink()
    ended = responder.finished("kept")
    assert (ended["id"], ended["outcome"]) == (waits["id"], "restarted")
    assert fleet.starts("kept") == 2


def test_found_busy_behind_the_drain_its_host_is_released_and_it_waits_again(
    fleet: Fleet, responder: Responder
) -> None:
    busy_once_drained(fleet, "begun")
    responder.start()
    responder.alert("begun")
    waits = waiting(responder, "begun")
    assert waits["attempt"] == 1
    check_nothing_is_held(fleet, responder, "begun")
    (fleet.folder / "busy/begun/test.json").unlink()
    ended = responder.finished("begun")
    assert ended["outcome"] == "restarted"
    (wait,) = ended["facts"]["waits"]
    assert [step["step"] for step in wait["after"]] == ["admit", "hold", "verify"]
    assert ended["steps"][0]["step"] == "admit"
    assert fleet.starts("begun") == 2


@pytest.mark.parametrize("point", KILLED_AT)
def test_killed_on_the_way_back_to_waiting_it_is_restarted_once(
    fleet: Fleet, responder: Responder, point: str
) -> None:
    host = name_of(point)
    busy_once_drained(fleet, host)
    responder.start(dies_at=point)
    responder.alert(host)
    responder.wait_dead()
    responder.start()
    waiting(responder, host)
    check_nothing_is_held(fleet, responder, host)
    (fleet.folder / "busy" / host / "test.json").unlink()
    assert responder.finished(host)["outcome"] == "restarted"
    assert fleet.starts(host) == 2
    check_nothing_is_held(fleet, responder, host)
