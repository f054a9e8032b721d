"""Two threads, or a thread and a person, at one request: what one has taken on stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from memleash_responder.core.alerts import Notification
from memleash_responder.core.facts import AgentFacts, Host
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.policy import Fleet, Guards, Mode
from memleash_responder.core.progress import Progress
from memleash_responder.core.restarts import AWAITING_APPROVAL
from memleash_responder.core.steps import Step
from memleash_responder.errors import DatabaseUnavailable, Overtaken
from memleash_responder.usecases import restart_looks as looks
from memleash_responder.usecases.intake import LEFT_OUT_SECONDS, MOST_TRIES, Received
from memleash_responder.usecases.restart_steps import run_command
from memleash_toolkit.values import Duration
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE
from tests.unit.usecases.world import AGENT, Killed, World

SENDING = {"life": 1.0, "counted_seconds": 3600.0}


def before_facts(world: World, act: Callable[[], None]) -> None:
    """Do something once, at the next moment when an exporter is read."""
    exporter: Any = world.services.outside.exporter
    facts = exporter.facts

    def interrupted(host: Host, agent: str, **how: Any) -> AgentFacts:
        exporter.facts = facts
        act()
        return facts(host, agent, **how)  # type: ignore[no-any-return]

    exporter.facts = interrupted


def test_an_alert_that_resolves_while_the_host_is_held_does_not_leave_it_held(
    world: World,
) -> None:
    """Seen: the request was closed under the workflow, and the host stayed connecting, drained."""
    world.node.resident_bytes = LARGE
    world.alert()
    resolved = {**world.last_alert, "alerts": [{**world.last_alert["alerts"][0]}]}
    resolved["alerts"][0]["status"] = "resolved"

    def resolve() -> None:
        world.tell(resolved)
        for one in world.services.tables.inbox.waiting(before=float("inf")):
            world.intake.handle(one)

    for one in world.services.tables.inbox.waiting(before=float("inf")):
        world.intake.handle(one)
    before_facts(world, resolve)
    world.engine.run_pending()
    assert world.outcomes() == ["resolved"]
    assert (world.state(), world.node.drained) == ("connected", False)
    assert not world.node.commands


def test_a_slow_second_look_does_not_close_a_request_that_was_taken_on(world: World) -> None:
    """Seen: the sweep looked at a request again, could not reach the exporter, and refused it."""
    world.node.resident_bytes = LARGE
    restart = world.requests.ask_for_person("node-1", AGENT, "ann", forced=False)

    def meanwhile() -> None:
        world.requests.consider(restart.id)
        world.node.exporter_answers = False

    before_facts(world, meanwhile)
    world.requests.consider(restart.id)
    after = world.services.tables.restarts.get(restart.id)
    assert after is not None
    assert (after.outcome, after.step) == (None, Step.ADMIT)


def test_a_second_look_does_not_put_a_running_request_back_into_the_queue(world: World) -> None:
    world.node.resident_bytes = LARGE
    restart = world.requests.ask_for_person("node-1", AGENT, "ann", forced=False)

    def meanwhile() -> None:
        world.requests.consider(restart.id)
        world.services.tables.restarts.advance(restart.id, "verify")

    before_facts(world, meanwhile)
    world.requests.consider(restart.id)
    after = world.services.tables.restarts.get(restart.id)
    assert after is not None
    assert after.step == "verify"


@pytest.mark.parametrize(
    ("word", "outcome"), [("approve", Outcome.RESTARTED), ("deny", Outcome.DENIED)]
)
def test_a_persons_word_is_not_lost_when_the_process_dies_right_after_it(
    make_world: MakeWorld, word: str, outcome: Outcome
) -> None:
    """Seen: approved, killed, and the request waited for an approval for ever."""
    number = 0
    while True:
        world = make_world(agent={"mode": Mode.APPROVE})
        world.node.resident_bytes = LARGE
        world.alert()
        world.run()
        (restart,) = world.history()
        assert restart.step == AWAITING_APPROVAL
        world.kill_at = len(world.boundaries) + number
        try:
            getattr(world.requests, word)(restart.id, "ann")
        except Killed:
            world.start()
        finished = world.kill_at is not None
        world.kill_at = None
        world.run()
        (after,) = world.history()
        if after.approval is not None:
            assert (after.outcome, after.approval_by) == (outcome, "ann"), number
        if finished:
            return
        number += 1


def test_two_restarts_at_once_do_not_share_the_last_of_the_fleets_budget(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: both were admitted when 1 of 1 was left, and both ran."""
    fleet = Fleet(max_concurrent_restarts=2, max_restarts_per_hour=1, storm_fraction=1.0)
    world = make_world(hosts=2, fleet=fleet)
    ids = []
    for node in world.nodes.values():
        node.resident_bytes = LARGE
        ids.append(world.requests.ask_for_person(node.name, AGENT, "ann", forced=False).id)
    for one in ids:
        world.requests.consider(one)
    first, second = ids
    look_and_send = looks.look_and_send

    def both_get_here(services: Any, restart: Any, life: float) -> Any:
        """Let the second go all its way while the first is about to take its last look."""
        if restart.id == first:
            world.engine.run_one(second)
        return look_and_send(services, restart, life)

    monkeypatch.setattr("memleash_responder.usecases.restart_steps.look_and_send", both_get_here)
    world.engine.run_pending()
    assert world.outcomes("node-1") == ["restart_budget"]
    assert world.outcomes("node-2") == ["restarted"]
    assert [len(node.commands) for node in world.nodes.values()] == [0, 1]
    assert (world.state("node-1"), world.nodes["node-1"].drained) == ("connected", False)


def test_a_connection_lost_just_before_the_command_costs_neither_cooldown_nor_budget(
    world: World,
) -> None:
    """Seen: the command counted as sent, and the agent was left alone for half an hour."""
    world.node.resident_bytes = LARGE
    world.node.ssh = "lost_just_before"
    world.alert()
    world.run()
    world.node.ssh = "good"
    world.clock.advance(300)
    world.tell(world.last_alert)
    world.run()
    assert world.outcomes() == ["ssh_unreachable", "restarted"]


@pytest.mark.parametrize("seconds", [-86_400, 86_400])
def test_a_wall_clock_that_is_set_does_not_keep_an_alert_from_being_looked_at_again(
    world: World, seconds: float
) -> None:
    """Seen: set back by a day, a refused alert was a duplicate for a day."""
    world.node.running = ["task-7"]
    world.node.resident_bytes = LARGE
    world.alert()
    world.run()
    world.clock.wall_offset += seconds
    world.node.life += seconds
    world.node.running = []
    world.clock.advance(300)
    world.tell(world.last_alert)
    world.run()
    assert world.outcomes() == ["tasks_running", "restarted"]


@pytest.mark.parametrize("seconds", [-86_400, 86_400])
def test_a_wall_clock_that_is_set_neither_ends_nor_stretches_a_cooldown(
    make_world: MakeWorld, seconds: float
) -> None:
    world = make_world(guards=Guards(startup_grace=Duration(0), retry_after=Duration(0)))
    world.node.resident_bytes = LARGE
    world.alert()
    world.run()
    world.clock.wall_offset += seconds
    for advance, word in ((1700, "cooldown"), (200, "restarted")):
        world.clock.advance(advance)
        world.node.life = world.clock.now() - 600
        world.node.resident_bytes = LARGE
        world.alert()
        world.run()
        assert world.outcomes()[-1] == word


def test_a_second_request_joins_the_first_and_gets_its_result(world: World) -> None:
    world.node.resident_bytes = LARGE
    first = world.requests.ask_for_person("node-1", AGENT, "ann", forced=False)
    second = world.requests.ask_for_person("node-1", AGENT, "bob", forced=True)
    assert second.id == first.id
    world.requests.consider(first.id)
    world.run()
    assert world.outcomes() == ["restarted"]
    assert len(world.node.commands) == 1


def test_a_request_has_one_final_word(world: World) -> None:
    restart = world.requests.ask_for_person("node-1", AGENT, "ann", forced=False)
    requests, now = world.services.tables.restarts, world.clock.now()
    assert requests.finish(restart.id, Outcome.DENIED, "no", now)
    assert not requests.finish(restart.id, Outcome.RESTARTED, "yes", now)
    commands = world.services.tables.sent_commands
    with pytest.raises(Overtaken):
        commands.note_sent(restart, world.clock.stamp, lambda *_: None, **SENDING)
    after = requests.get(restart.id)
    assert after is not None
    assert (after.outcome, after.command_sent) == (Outcome.DENIED, None)


def test_what_others_sent_is_counted_in_the_note_that_the_command_is_sent(world: World) -> None:
    first = world.requests.ask_for_person("node-1", AGENT, "ann", forced=False)
    requests, commands = world.services.tables.restarts, world.services.tables.sent_commands
    noted = commands.note_sent(first, world.clock.stamp, lambda *_: None, **SENDING)
    assert noted == world.clock.stamp()
    first = requests.get(first.id) or first

    def refuse(sent: Any, now: Any) -> Refusal | None:
        assert sent == [], "its own earlier note is not another's"
        return Refusal(Outcome.COOLDOWN, "no")

    assert isinstance(commands.note_sent(first, world.clock.stamp, refuse, **SENDING), Refusal)


def before_the_last_look(world: World, act: Callable[[], None]) -> None:
    """Do something once, when a session is open and the last look is yet to come."""
    ssh: Any = world.services.outside.ssh
    run = ssh.run

    def interrupted(*args: Any, **how: Any) -> Any:
        ssh.run = run
        act()
        return run(*args, **how)

    ssh.run = interrupted


def test_a_restart_that_two_work_on_at_once_sends_one_command(world: World) -> None:
    """Seen: after an outage a replica took over from itself, and both sent."""
    world.node.resident_bytes = LARGE
    world.node.comes_up = True
    lives = world.node.life

    def another_does_it_all() -> None:
        world.node.life = lives  # systemd is slow to stop it: the old life is still there
        restart = world.services.tables.restarts.open_of("node-1", AGENT)
        assert restart is not None
        run_command(world.services, restart, Progress(life=lives))

    before_the_last_look(world, another_does_it_all)
    world.alert()
    world.run()
    assert len(world.node.commands) == 1
    assert world.outcomes() == ["restarted"]


def test_who_comes_second_to_a_restart_watches_what_the_first_ones_command_does(
    world: World,
) -> None:
    world.node.resident_bytes = LARGE

    def another_only_notes() -> None:
        restart = world.services.tables.restarts.open_of("node-1", AGENT)
        assert restart is not None
        world.services.tables.sent_commands.note_sent(
            restart, world.clock.stamp, lambda *_: None, **SENDING
        )
        world.later(10, lambda: world.restart_agent(world.node))

    before_the_last_look(world, another_only_notes)
    world.alert()
    world.run()
    assert world.node.commands == [], "the other's took effect within its time"
    assert world.outcomes() == ["restarted"]
    assert len(world.node.starts) == 1


def test_a_busy_alert_stays_in_the_inbox_until_its_agent_was_looked_at(world: World) -> None:
    """Seen: the look was lost with the process, or with the database, until the alert's repeat."""
    muting, looked = world.intake._muting, list[str]()

    def look(host: str, agent: str, ended: Callable[[bool], None]) -> None:
        looked.append(host)
        if len(looked) == 1:
            raise DatabaseUnavailable("gone for a moment")
        ended(True)

    muting.look = look  # type: ignore[method-assign]
    busy = {**world._payload("node-1", firing=True, at=world.clock.now())}
    busy["alerts"][0]["labels"] |= {"alertname": "AgentBusy", "remediation": "mute"}
    world.tell(busy)
    (notification,) = world.services.tables.inbox.waiting(before=float("inf"))
    world.intake.take(notification)
    assert world.services.tables.inbox.length() == 1
    world.intake.take(notification)
    assert world.services.tables.inbox.length() == 0
    assert looked == ["node-1", "node-1"]


def test_a_notification_that_nobody_can_handle_leaves_the_inbox_after_an_hour(world: World) -> None:
    notification = world.services.tables.inbox.put(b"no notification at all", world.clock.now())
    world.intake.take(notification)
    assert world.services.tables.inbox.length() == 1
    world.clock.advance(LEFT_OUT_SECONDS + 1)
    world.intake.take(notification)
    assert world.services.tables.inbox.length() == 0


def test_a_notification_whose_handling_always_fails_is_tried_ten_times(world: World) -> None:
    """Seen: it was tried for an hour, and each try told the storm breaker of its alerts anew."""
    inbox = world.services.tables.inbox
    notification = inbox.put(b"no notification at all", world.clock.now())
    for _ in range(MOST_TRIES - 1):
        world.intake.take(notification)
    assert inbox.length() == 1
    world.intake.take(notification)
    assert inbox.length() == 0


def test_an_id_that_comes_again_is_handled_again(world: World) -> None:
    """Seen: SQLite gives an id anew once its row is gone, and nobody looked at the second."""
    inbox, intake = world.services.tables.inbox, world.intake
    first = inbox.put(json.dumps(world._payload("node-1", firing=True, at=0.0)).encode(), 0.0)
    intake.sweep(before=float("inf"))
    inbox.done(first)
    intake.take(first)
    assert inbox.put(b"", 0.0) == first
    intake.sweep(before=float("inf"))
    assert intake._ready.qsize() == 2


def test_what_was_received_at_another_moment_is_not_taken_for_the_stored_row(world: World) -> None:
    """SQLite gives the id of a row that is gone to a new one."""
    world.node.resident_bytes = LARGE
    world.alert()
    (notification_id,) = world.services.tables.inbox.waiting(before=float("inf"))
    stranger = Received(at=1.0, notification=Notification("responder", {}, 0, ()))
    world.intake.handle(notification_id, stranger)
    assert len(world.history()) == 1
