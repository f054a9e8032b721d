"""Killed with SIGKILL at every step's boundary and inside every step, and started again.

Each row is a real responder process, a real sshd, and a real agent whose service counts its own
starts: one at the beginning, and exactly one for the restart, wherever the responder died.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from demo.stack.fake_peers import Reply
from demo.stack.http import CallFailed, post
from demo.stack.loopback_hosts import Fleet, Member, Patience, running
from demo.stack.processes import wait_until
from memleash_responder.core.steps import Step
from tests.support.windows import closed, write_windows

pytestmark = pytest.mark.integration

STEPS = list(Step)
BOUNDARIES = [
    "before:step:admit",
    *(f"after:step:{step}" for step in STEPS),  # its effects are there, its record is not
    *(f"after:record:{step}" for step in [*STEPS, "conclude"]),  # so is its record
]
INSIDE = [
    "after:Inbox.put",  # stored, not handled
    "after:Restarts.open_all",  # the request is there, nobody looked
    "after:Hosts.hold",  # connecting; nothing muted, nothing drained
    "after:Mutes.change",
    "after:ControllerClients.drain",
    "before:SshClient.run",
    "after:SentCommands.note_sent",  # noted as sent, and not sent
    "after:SshClient.run",  # it took effect; neither its output nor its step are recorded
    "after:ControllerClients.undrain",
    "after:Hosts.release",  # connected, and no final word yet
    "after:Restarts.finish",
]
POINTS = BOUNDARIES + INSIDE


def name_of(point: str) -> str:
    return point.replace(":", "-").replace(".", "-").lower()


def slow(seconds: float) -> str:
    return f"sleep {seconds}; {{service}} restart"


FEW = {"readiness": {"probes": 4, "timeout": "1s", "interval": "250ms"}}
NOTHING = "echo ran >>{folder}/commands"
"""A restart command that returns 0 and restarts nothing."""
DOWN = Reply(status=503)
NEVER_NEW = ["after:record:restart", "after:record:ready", "before:Restarts.finish"]

MEMBERS = [
    *(Member(name_of(point)) for point in POINTS),
    Member("killed-while-it-runs", slow(2)),
    Member("killed-before-its-effect-and-late", slow(3)),
    Member("stopped-by-sigterm", agent_flags=("--start-delay", "2")),
    Member("refused-undraining"),
    Member("refused-word"),
    Member("failed-told", "exit 7"),
    Member("failed-word", "exit 7"),
    Member("waits-for-its-window"),
    Member("forced-and-owed"),
    Member("restarted-by-the-reconnect"),
    Member("maintenance-before-the-command"),
    Member("maintenance-after-the-command"),
    *(Member(f"nothing-{number}", NOTHING, settings=FEW) for number in range(len(NEVER_NEW))),
]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    # A command that takes 3 s has its effect in time on a slow machine, too.
    patience = Patience(ssh=12)
    with running(tmp_path_factory.mktemp("crash") / "fleet", MEMBERS, patience=patience) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def _stopped_agents(fleet: Fleet) -> Iterator[None]:
    """Let no agent of a finished row be probed beside the next."""
    yield
    fleet.stop_agents()


def check_restarted_once(fleet: Fleet, host: str) -> None:
    assert fleet.starts(host) == 2, "the service's own log: its first start, and one restart"
    wait_until("nothing to stay drained", lambda: not fleet.peers.drained(host))
    wait_until("nothing to stay silenced", lambda: not fleet.peers.silenced(host))


@pytest.mark.parametrize("point", POINTS)
def test_killed_there_it_goes_on_and_restarts_exactly_once(fleet: Fleet, point: str) -> None:
    host = name_of(point)
    fleet.start_agent(host)
    with fleet.responder(host) as responder:
        responder.start(dies_at=point)
        responder.alert(host)
        responder.wait_dead()
        if point == "after:Inbox.put":
            assert fleet.starts(host) == 1
        responder.start()
        request = responder.finished(host)
        assert request["outcome"] == "restarted", request
        assert responder.state(host) == "connected"
        check_restarted_once(fleet, host)


@pytest.mark.parametrize("host", ["killed-while-it-runs", "killed-before-its-effect-and-late"])
def test_killed_while_the_command_runs_it_waits_for_its_effect(fleet: Fleet, host: str) -> None:
    fleet.start_agent(host)
    with fleet.responder(host) as responder:
        responder.start()
        responder.alert(host)
        wait_until("the command to be sent", lambda: responder.at(host, "command_sent_at"))
        responder.kill()
        responder.start()
        assert responder.finished(host)["outcome"] == "restarted"
        check_restarted_once(fleet, host)


def test_stopped_while_it_waits_for_the_new_life_it_goes_on_after_the_start(fleet: Fleet) -> None:
    host = "stopped-by-sigterm"
    fleet.start_agent(host)
    with fleet.responder(host) as responder:
        responder.start()
        responder.alert(host)
        wait_until("the step ready", lambda: responder.at(host, "step") == "ready")
        responder.stop()
        responder.start()
        assert responder.finished(host)["outcome"] == "restarted"
        check_restarted_once(fleet, host)


@pytest.mark.parametrize(
    ("host", "point"),
    [
        ("refused-undraining", "after:ControllerClients.undrain"),
        ("refused-word", "before:Restarts.finish"),
    ],
)
def test_killed_while_it_gives_back_what_a_refusal_took_it_gives_back_the_rest(
    fleet: Fleet, host: str, point: str
) -> None:
    fleet.peers.faults["mn-2 tasks", host] = [Reply({"running": [{"id": "7", "name": "migrate"}]})]
    fleet.start_agent(host)
    with fleet.responder(host) as responder:
        responder.start(dies_at=point)
        responder.alert(host)
        responder.wait_dead()
        responder.start()
        assert responder.finished(host)["outcome"] == "tasks_running"
        assert responder.state(host) == "connected"
        assert fleet.starts(host) == 1
        wait_until("nothing to stay drained", lambda: not fleet.peers.drained(host))
        wait_until("nothing to stay silenced", lambda: not fleet.peers.silenced(host))


@pytest.mark.parametrize(
    ("host", "point"),
    [("failed-word", "before:Restarts.finish"), ("failed-told", "after:Restarts.finish")],
)
def test_killed_while_it_tells_of_a_failure_the_failure_is_told(
    fleet: Fleet, host: str, point: str
) -> None:
    fleet.peers.faults["reconnect", host] = [Reply(status=503)]
    fleet.start_agent(host)
    with fleet.responder(host) as responder:
        responder.start(dies_at=point)
        responder.alert(host)
        responder.wait_dead()
        responder.start()
        assert responder.finished(host)["outcome"] == "command_failed"
        assert responder.state(host) == "disconnected"
        assert fleet.starts(host) == 1


@pytest.mark.parametrize("point", NEVER_NEW)
def test_killed_after_a_command_that_restarted_nothing_it_says_so_and_sends_it_no_more(
    fleet: Fleet, point: str
) -> None:
    host = f"nothing-{NEVER_NEW.index(point)}"
    fleet.peers.faults["reconnect", host] = [Reply(status=503)]
    fleet.start_agent(host)
    with fleet.responder(host) as responder:
        responder.start(dies_at=point)
        responder.alert(host)
        responder.wait_dead()
        responder.start()
        assert responder.finished(host)["outcome"] == "not_ready"
        assert responder.state(host) == "disconnected"
        commands = (fleet.service(host) / "commands").read_text(encoding="ascii")
        assert (commands, fleet.starts(host)) == ("ran\n", 1)


def test_killed_as_it_begins_to_wait_for_its_window_it_is_restarted_once_when_that_opens(
    fleet: Fleet,
) -> None:
    host = "waits-for-its-window"
    fleet.start_agent(host)
    with fleet.responder(host) as responder:
        config_file = fleet.folder / "responders" / host / "responder.yml"
        write_windows(config_file, closed())
        responder.start(dies_at="after:Restarts.move")
        responder.alert(host)
        responder.wait_dead()
        responder.start()
        assert responder.at(host, "waits_for") == "outside_window"
        assert responder.state(host) == "connected"
        assert fleet.peers.of(host) == [], "no controller was asked for anything"
        write_windows(config_file)
        post(f"{responder.url}/-/reload", timeout_seconds=60)
        assert responder.finished(host)["outcome"] == "restarted"
        check_restarted_once(fleet, host)


def test_killed_with_an_undrain_owed_force_went_past_it_is_given_in_the_next_life(
    fleet: Fleet,
) -> None:
    host = "forced-and-owed"
    dead = {("mn-2 drain", host): [DOWN], ("mn-2 undrain", host): [DOWN]}
    fleet.peers.faults.update(dead)
    fleet.start_agent(host)
    with fleet.responder(host) as responder:
        responder.start(dies_at="after:record:release")
        with contextlib.suppress(CallFailed):  # it may die before it answers
            post(f"{responder.url}/api/v1/restarts", {"host": host, "agent": host, "force": True})
        responder.wait_dead()
        in_vain = fleet.peers.of(host).count(("mn-2", "undrain"))
        assert in_vain
        for call in dead:
            del fleet.peers.faults[call]
        responder.start()
        request = responder.finished(host)
        assert request["outcome"] == "restarted", request
        (past,) = request["facts"]["hold"]["gone_past"]
        assert past["outcome"] == "controller_unreachable"
        check_restarted_once(fleet, host)
        wait_until(
            "the undrain that mn-2 is owed",
            lambda: fleet.peers.of(host).count(("mn-2", "undrain")) > in_vain,
        )


def test_killed_as_the_reconnect_has_restarted_the_agent_once_more_it_says_so(
    fleet: Fleet,
) -> None:
    host = "restarted-by-the-reconnect"
    # Lives less than a second apart are taken for one.
    again = fleet.filled_in("sleep 1.2; {service} restart", host)
    fleet.peers.faults["mn-1 reconnect", host] = [Reply(at_once=again), Reply({})]
    fleet.start_agent(host)
    with fleet.responder(host) as responder:
        responder.start(dies_at="after:ControllerClients.reconnect")
        responder.alert(host)
        responder.wait_dead()
        responder.start()
        request = responder.finished(host)
        assert request["outcome"] == "restarted", request
        assert "it was restarted once more before the end" in request["reason"]
        assert responder.state(host) == "connected"
        assert fleet.starts(host) == 3, "at first, by the command, and by the controller"
        wait_until("nothing to stay drained", lambda: not fleet.peers.drained(host))


@pytest.mark.parametrize(
    ("host", "point", "outcome", "starts"),
    [
        ("maintenance-before-the-command", "after:record:verify", "maintenance", 1),
        ("maintenance-after-the-command", "after:record:restart", "restarted", 2),
    ],
)
def test_maintenance_that_begins_while_it_is_dead_stops_what_has_not_sent_its_command(
    fleet: Fleet, host: str, point: str, outcome: str, starts: int
) -> None:
    fleet.start_agent(host)
    with fleet.responder(host, controllers=fleet.controllers(with_states=True)) as responder:
        responder.start(dies_at=point)
        responder.alert(host)
        responder.wait_dead()
        fleet.peers.faults["mn-1 state", host] = [Reply({"state": "maintenance"})]
        responder.start()
        assert responder.finished(host)["outcome"] == outcome
        assert fleet.starts(host) == starts
        wait_until("nothing to stay drained", lambda: not fleet.peers.drained(host))
