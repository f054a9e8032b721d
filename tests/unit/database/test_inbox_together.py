"""Notifications that arrive together are stored together, each with an answer of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event

from demo.stack.processes import wait_until
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.inbox import Inbox
from memleash_responder.adapters.database.migrations import upgrade
from memleash_responder.errors import BacklogFull, DatabaseUnavailable

AT_ONCE = 8


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'responder.db'}")
    upgrade(opened)
    yield opened
    opened.close()


def put_together(database: Database, inbox: Inbox) -> list[Future[int]]:
    """Put notifications while the database is written to, so that all of them wait for it."""
    with ThreadPoolExecutor(AT_ONCE) as pool, database.write():
        puts = [pool.submit(inbox.put, b"body %d" % n, float(n)) for n in range(AT_ONCE)]
        wait_until("all to wait", lambda: len(inbox._arrived) == AT_ONCE)
    return puts


def test_all_are_stored_in_one_transaction(database: Database) -> None:
    inbox, commits = Inbox(database, max_backlog=100), list[object]()
    event.listen(database.engine, "commit", commits.append)
    ids = [put.result() for put in put_together(database, inbox)]
    assert len(commits) == 2, "the test's own, and one for all of them"
    for number, notification_id in enumerate(ids):
        stored = inbox.get(notification_id)
        assert stored is not None
        assert (stored.body, stored.received_at) == (b"body %d" % number, float(number))


def test_those_that_are_over_the_backlog_are_told_so_and_no_others(database: Database) -> None:
    inbox = Inbox(database, max_backlog=5)
    errors = [put.exception() for put in put_together(database, inbox)]
    assert inbox.length() == 5
    assert errors.count(None) == 5
    refused = [error for error in errors if error is not None]
    assert all(isinstance(error, BacklogFull) for error in refused)
    assert str(refused[0]) == ("5 notifications wait to be handled; webhook.max_backlog allows 5")


def test_none_is_taken_for_stored_when_the_database_is_gone(database: Database) -> None:
    inbox = Inbox(database, max_backlog=100)
    with database.write() as connection:
        connection.exec_driver_sql("DROP TABLE memleash_notifications")
        connection.exec_driver_sql("CREATE TABLE memleash_notifications (id INTEGER PRIMARY KEY)")
    with pytest.raises(DatabaseUnavailable):
        inbox.put(b"body", 0.0)
    for put in put_together(database, inbox):
        with pytest.raises(DatabaseUnavailable):
            put.result()


def test_none_is_taken_for_stored_when_the_database_refuses_for_another_reason(
    database: Database,
) -> None:
    """Seen: all but the first were told that theirs was stored."""
    inbox = Inbox(database, max_backlog=100)
    with database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER no BEFORE INSERT ON memleash_notifications"
            " BEGIN SELECT raise(ABORT, 'not today'); END"
        )
    errors = [put.exception() for put in put_together(database, inbox)]
    assert None not in errors
    assert sum(isinstance(error, DatabaseUnavailable) for error in errors) == AT_ONCE - 1
    assert inbox.length() == 0


def test_a_write_that_hangs_holds_up_others_no_longer_than_their_patience(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memleash_responder.adapters.database.inbox.PATIENCE_SECONDS", 0.1)
    inbox = Inbox(database, max_backlog=100)
    with inbox._storing, pytest.raises(DatabaseUnavailable, match="are not stored after"):
        inbox.put(b"impatient", 0.0)
    inbox.put(b"next", 0.0)
    assert inbox.length() == 1, "what was refused is not stored behind the sender's back"
