"""The history's own queries: SQLite and PostgreSQL give the same answers."""

from __future__ import annotations

import dataclasses

import pytest

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.restart_history import RestartHistory
from memleash_responder.adapters.database.restarts import Restarts
from memleash_responder.adapters.database.sent_commands import SentCommands
from memleash_responder.core.moments import Stamp
from memleash_responder.core.outcomes import BEGUN, Outcome
from memleash_responder.core.restarts import Restart

pytestmark = pytest.mark.integration


@pytest.fixture
def requests(database: Database) -> Restarts:
    return Restarts(database)


@pytest.fixture
def history(database: Database) -> RestartHistory:
    return RestartHistory(database)


def ended(name: str, at: float, outcome: Outcome, alert: str | None = None) -> Restart:
    return Restart(
        id=name,
        host="node-1",
        agent="agent",
        requested_at=at,
        requested_by="alert" if alert else "ann",
        forced=False,
        step="requested",
        fingerprint=alert,
        alert_started_at=1.0 if alert else None,
        outcome=outcome,
        finished_at=at,
    )


def opened(name: str, at: float) -> Restart:
    return Restart(name, "node-1", "agent", at, "alert", forced=False, step="requested")


def sent(host: str, at: Stamp) -> Restart:
    restart = ended(host, at.at, Outcome.RESTARTED)
    return dataclasses.replace(restart, id=host[:36], host=host, command_sent=at)


def test_repeats_are_pruned_first_and_what_persons_asked_for_is_no_repeat(
    requests: Restarts, history: RestartHistory
) -> None:
    asked = [ended(f"asked-{at}", at, Outcome.BUSY) for at in (1.0, 2.0)]
    told = [ended(f"told-{at}", at, Outcome.COOLDOWN, "a") for at in (3.0, 4.0, 5.0, 6.0)]
    requests.open_all([*asked, *told, opened("open", 0.5)])
    history.prune(before=0.0, keep=4, counted_since=1e9)
    kept = {one.id for one in history.page(limit=100)}
    assert kept == {"asked-1.0", "asked-2.0", "told-6.0", "open"}


def test_the_last_word_and_the_last_of_a_restart_stand_while_a_request_is_open(
    requests: Restarts, history: RestartHistory
) -> None:
    failed = ended("failed", 1.0, Outcome.NOT_READY, "a")
    refused = ended("refused", 2.0, Outcome.HOST_NOT_CONNECTED, "a")
    requests.open_all([failed, refused, opened("open", 3.0)])
    assert [one.id for one in history.last_ended()] == ["refused"]
    assert [one.id for one in history.last_ended(BEGUN)] == ["failed"]


def test_what_restarts_bought_is_read_from_the_history(
    requests: Restarts, history: RestartHistory
) -> None:
    def of_alert(name: str, began: float, outcome: Outcome, at: float | None = None) -> Restart:
        """Return a request for an alert; its command was sent ``at`` a moment."""
        command = Stamp(at, "a boot", 1.0) if at else None
        request = ended(name, began + 1, outcome, name)
        return dataclasses.replace(request, alert_started_at=began, command_sent=command)

    elsewhere = dataclasses.replace(
        of_alert("elsewhere", 120.0, Outcome.BUSY), host="node-2", agent="agent"
    )
    requests.open_all(
        [
            of_alert("first", 90.0, Outcome.RESTARTED, 100.0),
            elsewhere,
            of_alert("old data", 130.0, Outcome.BELOW_HARD_LIMIT),
            of_alert("the life before", 101.0, Outcome.ALREADY_RESTARTED),
            of_alert("refused", 400.0, Outcome.BUSY),
            of_alert("second", 400.0, Outcome.RESTARTED, 500.0),
            of_alert("failed", 560.0, Outcome.COMMAND_FAILED, 570.0),
            of_alert("third", 580.0, Outcome.RESTARTED, 600.0),
        ]
    )
    found = history.times_bought()
    assert [(one.restarted_at, one.seconds) for one in found] == [(100.0, 300.0), (500.0, 60.0)]
    assert history.times_bought(host="node-2", agent="agent") == []
    assert history.times_bought(since=101.0) == found[1:]
    assert history.restarted_since("node-1", "agent", 599.0)
    assert not history.restarted_since("node-1", "agent", 600.0)


def test_a_persons_word_is_added_once_and_not_after_the_command(requests: Restarts) -> None:
    requests.open_all([opened("open", 1.0)])
    wish = opened("joins", 2.0)
    bob = dataclasses.replace(wish, approval_by="bob", not_before=99.0)
    requests.endorse(bob, "open")
    requests.endorse(
        dataclasses.replace(wish, approval_by="ann", forced=True, purpose="an upgrade"), "open"
    )
    found = requests.get("open")
    assert found is not None
    assert (found.approval, found.approval_by, found.forced) == ("approved", "bob", True)
    assert (found.purpose, found.not_before) == ("an upgrade", None), "who spoke last says when"


def test_every_command_of_the_window_is_counted_and_none_from_before_it(
    requests: Restarts, database: Database
) -> None:
    """Seen: 1,000 newer commands on other hosts made a budget of seven days forget one of today."""
    week, now = 7 * 86400.0, Stamp(1e9, "this boot", 1e6)
    fleet = [sent(f"fleet-{at}", Stamp(1e9 - at, "another boot", 5.0)) for at in range(1500)]
    old = sent("old", Stamp(1e9 - week - 1, "another boot", 5.0))
    requests.open_all([*fleet, old])
    counted = SentCommands(database).sent(week, now, but="fleet-0")
    assert {host for host, _, _ in counted} == {one.host for one in fleet[1:]}


def test_a_clock_that_was_set_makes_no_command_of_this_boot_forgotten(
    requests: Restarts, database: Database
) -> None:
    now = Stamp(1e9, "this boot", 1e6)
    requests.open_all(
        [
            sent("a minute ago, before it was set forward", Stamp(1.0, "this boot", 1e6 - 60)),
            sent("an hour ago, before it was set forward", Stamp(1.0, "this boot", 1e6 - 3601)),
            sent("before it was set back", Stamp(2e9, "another boot", 5.0)),
        ]
    )
    counted = SentCommands(database).sent(3600, now)
    assert {host for host, _, _ in counted} == {
        "a minute ago, before it was set forward",
        "before it was set back",
    }
