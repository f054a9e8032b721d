"""The history's own queries: SQLite and PostgreSQL give the same answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.migrations import upgrade
from memleash_responder.adapters.database.restart_history import RestartHistory
from memleash_responder.adapters.database.restarts import Restarts
from memleash_responder.core.outcomes import BEGUN, Outcome
from memleash_responder.core.restarts import Restart

pytestmark = pytest.mark.integration


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    one = Database(database_url)
    upgrade(one)
    yield one
    one.close()


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


def test_a_persons_word_is_added_once_and_not_after_the_command(requests: Restarts) -> None:
    requests.open_all([opened("open", 1.0)])
    requests.second("open", "bob", forced=False)
    requests.second("open", "ann", forced=True)
    found = requests.get("open")
    assert found is not None
    assert (found.approval, found.approval_by, found.forced) == ("approved", "bob", True)
