"""Telling people: once for each thing and target, tried again, and lost by no restart."""

from __future__ import annotations

import collections
import dataclasses
from pathlib import Path

import pytest

from memleash_responder.core.access import Links
from memleash_responder.core.notices import Event
from memleash_responder.core.policy import Guards, Mode
from memleash_responder.errors import NoticeNotSent
from memleash_responder.notify_settings import Notify
from memleash_responder.usecases.notices import KEPT_SECONDS, Notices
from memleash_responder.usecases.storm_breaker import STORM
from memleash_toolkit.values import Duration
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.outside import LARGE
from tests.unit.usecases.world import World

EVERYTHING = tuple(Event)


class Outbox:
    """What was sent, by target; one that is down takes nothing."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.down: set[str] = set()
        self.broken: set[str] = set()
        self.tries: collections.Counter[str] = collections.Counter()
        self.dies_after_sending = False

    def send(self, url_file: Path, title: str, body: str, timeout: float) -> None:
        assert timeout > 0
        self.tries[url_file.name] += 1
        if url_file.name in self.broken:
            raise KeyError("a bug")
        if url_file.name in self.down:
            raise NoticeNotSent("connection refused")
        self.sent.append((url_file.name, title, body))
        if self.dies_after_sending:
            self.dies_after_sending = False
            raise KeyboardInterrupt

    @property
    def titles(self) -> list[str]:
        return [title for _, title, _ in self.sent]


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


def telling(world: World, *targets: Notify) -> World:
    links = Links(responder="https://memleash.example.org")
    world.settings = dataclasses.replace(world.settings, notify=targets, links=links)
    world.start()
    return world


def look(world: World, outbox: Outbox) -> None:
    """Look, as the keeper does; each time in a process that knows nothing of the last."""
    Notices(world.services, outbox.send).look()


def leak(world: World) -> None:
    """Have the agent grow over its hard limit, and the responder told."""
    world.node.resident_bytes = LARGE
    world.alert()


def target(name: str = "oncall", on: tuple[Event, ...] = EVERYTHING) -> Notify:
    return Notify(name, Path(name), on)


def test_a_restart_is_told_of_once_with_the_page_about_it(world: World, outbox: Outbox) -> None:
    telling(world, target())
    look(world, outbox)
    leak(world)
    world.run()
    for _ in range(3):
        look(world, outbox)
    (request,) = world.history()
    assert outbox.titles == ["memleash: restarted: kvmagent on node-1"]
    body = outbox.sent[0][2]
    assert body.startswith("kvmagent on node-1 was restarted and is ready.")
    assert body.endswith(f"https://memleash.example.org/restarts/{request.id}")


def test_a_target_that_is_new_hears_nothing_of_the_past(world: World, outbox: Outbox) -> None:
    leak(world)
    world.run()
    telling(world, target())
    look(world, outbox)
    look(world, outbox)
    assert outbox.sent == []


def test_an_alert_that_asks_again_and_again_is_one_notice(world: World, outbox: Outbox) -> None:
    telling(world, target())
    look(world, outbox)
    world.node.running = ["migrate"]
    leak(world)
    for _ in range(4):
        world.run()
        look(world, outbox)
        world.clock.advance(300)
        world.tell(world.last_alert)
    assert outbox.titles == ["memleash: refused: kvmagent on node-1"]
    assert "tasks_running" in outbox.sent[0][2]


def test_each_target_hears_what_it_asked_for_in_its_own_words(
    make_world: MakeWorld, outbox: Outbox
) -> None:
    world = make_world(agent={"mode": Mode.APPROVE})
    events = (Event.APPROVAL, Event.STORM)
    pager = Notify("pager", Path("pager"), events, title="{{ event|upper }}", body="{{ url }}")
    telling(world, target("chat", (Event.RESTARTED,)), pager)
    look(world, outbox)
    leak(world)
    world.run()
    world.services.tables.flags.set(STORM, "9 of 10 hosts", "storm breaker", world.clock.now())
    world.services.tables.quarantine.add("node-1", "kvmagent", "in vain", world.clock.now())
    look(world, outbox)
    (request,) = world.history()
    assert outbox.sent == [
        ("pager", "APPROVAL", f"https://memleash.example.org/restarts/{request.id}"),
        ("pager", "STORM", "https://memleash.example.org"),
    ]


def test_a_target_that_is_down_is_tried_again_and_keeps_no_other_waiting(
    world: World, outbox: Outbox
) -> None:
    telling(world, target("chat"), target("mail"))
    look(world, outbox)
    outbox.down.add("chat")
    leak(world)
    world.run()
    for _ in range(3):
        look(world, outbox)
    assert [name for name, _, _ in outbox.sent] == ["mail"]
    outbox.down.clear()
    look(world, outbox)
    assert len(outbox.sent) == 1, "it is not due again yet"
    world.start()
    world.clock.advance(31)
    look(world, outbox)
    look(world, outbox)
    assert [name for name, _, _ in outbox.sent] == ["mail", "chat"]


def test_nothing_is_sent_for_ever(world: World, outbox: Outbox) -> None:
    telling(world, target())
    look(world, outbox)
    outbox.down.add("oncall")
    leak(world)
    world.run()
    for _ in range(40):
        look(world, outbox)
        world.clock.advance(3600)
    outbox.down.clear()
    look(world, outbox)
    assert outbox.sent == []


def test_killed_between_sending_and_noting_it_is_sent_again_and_never_lost(
    world: World, outbox: Outbox
) -> None:
    telling(world, target())
    look(world, outbox)
    leak(world)
    world.run()
    outbox.dies_after_sending = True
    with pytest.raises(KeyboardInterrupt):
        look(world, outbox)
    world.start()
    look(world, outbox)
    look(world, outbox)
    assert len(outbox.sent) == 2


def test_what_is_due_for_a_target_that_left_the_configuration_is_not_sent_and_pruned(
    world: World, outbox: Outbox
) -> None:
    telling(world, target("chat"), target("mail"))
    look(world, outbox)
    outbox.down.add("chat")
    leak(world)
    world.run()
    look(world, outbox)
    outbox.down.clear()
    telling(world, target("mail"))
    world.clock.advance(31)
    look(world, outbox)
    assert [name for name, _, _ in outbox.sent] == ["mail"]
    table = world.services.tables.notices
    assert len(table.due("chat", world.clock.now(), 10)) == 1
    world.clock.advance(KEPT_SECONDS)
    table.prune(before=world.clock.now())
    assert table.due("chat", world.clock.now(), 10) == []
    look(world, outbox)
    assert [name for name, _, _ in outbox.sent] == ["mail"], "it is not a new target after that"


def test_what_stands_for_long_is_told_once_also_after_its_notice_was_pruned(
    world: World, outbox: Outbox
) -> None:
    """Found: a quarantine of ninety days was told again, as if it had just begun."""
    telling(world, target())
    look(world, outbox)
    world.services.tables.quarantine.add("node-1", "kvmagent", "in vain", world.clock.now())
    look(world, outbox)
    world.clock.advance(KEPT_SECONDS)
    world.services.tables.notices.prune(before=world.clock.now())
    look(world, outbox)
    assert outbox.titles == ["memleash: quarantined: kvmagent on node-1"]


def test_an_approval_that_is_asked_for_long_after_the_alert_is_told(
    make_world: MakeWorld, outbox: Outbox
) -> None:
    guards = Guards(wait_for_idle=Duration(4 * 3600))
    world = make_world(agent={"mode": Mode.APPROVE, "guards": guards})
    telling(world, target())
    look(world, outbox)
    world.node.busy = True
    leak(world)
    (notification,) = world.services.tables.inbox.waiting(before=float("inf"))
    world.intake.handle(notification)
    world.clock.advance(2 * 3600)
    world.node.busy = False
    world.run()
    look(world, outbox)
    look(world, outbox)
    assert outbox.titles == ["memleash: approval: kvmagent on node-1"]


def test_many_notices_for_a_target_that_is_down_cost_one_try_and_hold_nobody_up(
    world: World, outbox: Outbox
) -> None:
    """Found: each look tried the next of them, and those of others came behind twenty of these."""
    telling(world, target("chat"), target("mail"))
    look(world, outbox)
    table = world.services.tables.notices
    for number in range(30):
        table.add("chat", f"k{number:02}", f"t{number}", "b", world.clock.now())
    table.add("mail", "k", "the one", "b", world.clock.now() + 1)
    outbox.down.add("chat")
    world.clock.advance(2)
    for _ in range(3):
        look(world, outbox)
    assert outbox.titles == ["the one"]
    assert outbox.tries == {"chat": 1, "mail": 1}
    outbox.down.clear()
    world.clock.advance(31)
    for _ in range(2):
        look(world, outbox)
    assert outbox.titles == ["the one", *(f"t{number}" for number in range(30))]


def test_a_target_that_breaks_is_tried_again_and_holds_nobody_up(
    world: World, outbox: Outbox
) -> None:
    telling(world, target("chat"), target("mail"))
    look(world, outbox)
    outbox.broken.add("chat")
    leak(world)
    world.run()
    look(world, outbox)
    assert [name for name, _, _ in outbox.sent] == ["mail"]
    outbox.broken.clear()
    world.clock.advance(31)
    look(world, outbox)
    assert [name for name, _, _ in outbox.sent] == ["mail", "chat"]


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ hots }}", "'hots' is undefined; allowed names: event, host, agent"),
        ("{% if %}", "body: Expected an expression"),
        ("{{ event.__class__.__mro__ }}", "unsafe"),
        ("{{ 1 // 0 }}", "division"),
    ],
)
def test_a_template_with_a_mistake_is_refused_when_it_is_read(template: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Notify("oncall", Path("oncall"), body=template)
