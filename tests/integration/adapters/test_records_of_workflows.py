"""DBOS's own records of workflows: kept for a while, then pruned."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from dbos import DBOS

from demo.stack.processes import wait_until
from memleash_responder.adapters.database.engine import SQLITE_CACHE_KIB, Database
from memleash_responder.adapters.dbos_engine import STEPS_VERSION, Durable

pytestmark = pytest.mark.integration

IDS = {"one", "two"}


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Durable]:
    """The engine on a database of its own, where two workflows have ended."""
    made = Durable(sa.make_url(f"sqlite:///{tmp_path / 'records.db'}"), "local")
    made.workflow("work", lambda _: None)
    made.launch()
    try:
        for work_id in IDS:
            made.start("work", work_id)
        wait_until("the work to end", lambda: made.abandoned("work", IDS, {STEPS_VERSION}) == IDS)
        yield made
    finally:
        DBOS.destroy()


def records(folder: Path) -> int:
    database = sqlite3.connect(folder / "records.db")
    try:
        (count,) = database.execute("SELECT count(*) FROM workflow_status").fetchone()
    finally:
        database.close()
    return int(count)


def test_records_of_what_has_ended_are_pruned_when_they_are_old(
    durable: Durable, tmp_path: Path
) -> None:
    durable.prune(before=datetime.now(UTC) - timedelta(days=1))
    assert records(tmp_path) == len(IDS)
    durable.prune(before=datetime.now(UTC) + timedelta(seconds=1))
    assert records(tmp_path) == 0


def test_what_an_older_release_queued_runs_once_though_it_is_started_too(tmp_path: Path) -> None:
    ran: list[str] = []
    made = Durable(sa.make_url(f"sqlite:///{tmp_path / 'records.db'}"), "local")
    made.workflow("work", ran.append)
    made.launch()
    try:
        made.queue("queue", concurrency=1, polling_seconds=0.05)
        for work_id in ("first", "second"):
            DBOS.enqueue_workflow_with_options(
                {
                    "workflow_name": "work",
                    "queue_name": "queue",
                    "workflow_id": f"work:{work_id}",
                    "app_version": STEPS_VERSION,
                },
                work_id,
            )
            made.start("work", work_id)
        both = {"first", "second"}
        wait_until("the work to end", lambda: made.abandoned("work", both, {STEPS_VERSION}) == both)
        assert sorted(ran) == ["first", "second"]
    finally:
        DBOS.destroy()


def test_connections_to_sqlite_keep_little_of_it(durable: Durable, tmp_path: Path) -> None:
    ours = Database(f"sqlite:///{tmp_path / 'records.db'}")
    for engine in (ours.engine, durable._dbos._sys_db.engine):
        with engine.connect() as connection:
            kept = connection.execute(sa.text("PRAGMA cache_size")).scalar_one()
            assert kept == -SQLITE_CACHE_KIB, engine
