"""A database of an older release is brought to the newest version, and one of a newer is refused.

``recorded/`` has the tables of version 1 with rows in each, made by the code of that time.
"""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from demo.stack.postgres import Postgres
from demo.stack.processes import ProgramFailed, wait_until
from demo.stack.responder import Responder, alert, lonely, responder
from memleash_responder.adapters.database import migrations
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.migrations import NEWEST_VERSION, rehearse, upgrade
from memleash_responder.adapters.database.pauses import Pauses
from memleash_responder.adapters.database.schema import schema
from memleash_responder.core.pauses import Pause
from memleash_responder.errors import DatabaseUnavailable
from tests.integration.database.conftest import Start

pytestmark = pytest.mark.integration

RECORDED = Path(__file__).parent / "recorded"

Rows = dict[str, list[tuple[Any, ...]]]
Columns = dict[str, list[str]]


def sqlite_of_version_1(file: Path) -> str:
    """Make the recorded database at ``file`` and return its URL."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((RECORDED / "version_1.sqlite.sql").read_text(encoding="utf-8"))
    return f"sqlite:///{file}"


def postgres_of_version_1(postgres: Postgres) -> str:
    """Fill the server's empty database with the recorded one and return its URL."""
    recorded = (RECORDED / "version_1.postgresql.sql").read_text(encoding="utf-8")
    postgres.query(f"SET ROLE memleash; {recorded}")
    return postgres.url


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of version 1, of each kind."""
    if request.param == "sqlite":
        url = sqlite_of_version_1(tmp_path / "old.db")
    else:
        url = postgres_of_version_1(request.getfixturevalue("postgres"))
    database = Database(url)
    yield database
    database.close()


def tables(database: Database) -> list[sa.Table]:
    """Return every table but the one of the version."""
    metadata = sa.MetaData()
    metadata.reflect(database.engine)
    return [table for table in metadata.sorted_tables if table.name != "memleash_schema"]


def columns(database: Database) -> Columns:
    """Return the names of each table's columns."""
    return {table.name: list(table.columns.keys()) for table in tables(database)}


def rows(database: Database, only: Columns | None = None) -> Rows:
    """Return every row of every table, ``only`` with these columns of these tables."""
    only = columns(database) if only is None else only
    with database.read() as connection:
        return {
            table.name: sorted(
                map(tuple, connection.execute(sa.select(*(table.c[one] for one in named)))),
                key=repr,
            )
            for table in tables(database)
            if (named := only.get(table.name))
        }


def version(database: Database) -> int | None:
    with database.read() as connection:
        return connection.scalar(sa.select(schema.c.version))


def described(database: Database) -> dict[str, Any]:
    """Return the tables as the database itself describes them."""
    looked = sa.inspect(database.engine)
    return {
        table: (
            {
                # SQLite has one type for both: what a migration calls DOUBLE PRECISION is REAL.
                one["name"]: (str(one["type"]).replace("REAL", "DOUBLE"), one["nullable"])
                for one in looked.get_columns(table)
            },
            looked.get_pk_constraint(table)["constrained_columns"],
            {
                one["name"]: (
                    one["column_names"],
                    one["unique"],
                    {name: str(value) for name, value in one["dialect_options"].items()},
                )
                for one in looked.get_indexes(table)
            },
        )
        for table in looked.get_table_names()
        if table.startswith("memleash_")
    }


def test_every_row_of_an_old_database_stays(old: Database) -> None:
    before, known = rows(old), columns(old)
    assert all(before.values()), "something in each table"
    upgrade(old)
    assert version(old) == NEWEST_VERSION
    after = rows(old)
    assert rows(old, known) == before
    upgrade(old)
    assert rows(old) == after


def test_a_pause_of_an_old_database_goes_on_as_the_default_one(old: Database) -> None:
    upgrade(old)
    (pause,) = Pauses(old).all()
    assert pause == Pause("default", "ann", "maintenance of the rack", 1790000062.0, None)


def test_an_upgraded_database_has_the_tables_of_a_fresh_one(
    old: Database, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if old.is_sqlite:
        fresh = Database(f"sqlite:///{tmp_path / 'fresh.db'}")
    else:
        postgres = request.getfixturevalue("postgres")
        postgres.query("CREATE DATABASE fresh OWNER memleash")
        fresh = Database(postgres.url.removesuffix("memleash") + "fresh")
    upgrade(old)
    upgrade(fresh)
    assert described(old) == described(fresh)
    fresh.close()


def test_a_rehearsal_changes_nothing(old: Database) -> None:
    before, looks = rows(old), described(old)
    assert rehearse(old) == 1
    assert (rows(old), described(old)) == (before, looks)


def test_an_upgrade_that_fails_half_way_changes_nothing(
    old: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, looks = rows(old), described(old)
    broken = ("ALTER TABLE nowhere ADD COLUMN x TEXT",)
    steps = {**migrations.MIGRATIONS, NEWEST_VERSION + 1: broken}
    monkeypatch.setattr(migrations, "MIGRATIONS", steps)
    monkeypatch.setattr(migrations, "NEWEST_VERSION", NEWEST_VERSION + 1)
    with pytest.raises(
        DatabaseUnavailable, match=f"cannot be brought to version {NEWEST_VERSION + 1}, and stay as"
    ):
        upgrade(old)
    assert (rows(old), described(old)) == (before, looks)


def test_a_database_of_a_newer_release_is_refused_and_not_touched(
    start: Start, old: Database, tmp_path: Path
) -> None:
    upgrade(old)
    with old.write() as connection:
        connection.execute(sa.text("UPDATE memleash_schema SET version = 99"))
    before, url = rows(old), old.url.set(drivername=old.url.get_backend_name(), query={})
    with pytest.raises(ProgramFailed, match="ended with code 1"):
        start(url.render_as_string(hide_password=False))
    (line,) = (tmp_path / "responder.log").read_text(encoding="utf-8").splitlines()
    assert f"{old.name} cannot be used: its tables have version 99" in line
    assert "Start that release, or restore a backup" in line
    assert rows(old) == before


def works(one: Responder) -> None:
    """Assert that a responder has the recorded past, and goes on with it."""
    assert one.status("/-/ready") == 200
    ended = one.get("/api/v1/restarts?outcome=not_ready")["restarts"]
    assert [restart["id"] for restart in ended] == ["11111111-1111-4111-8111-111111111111"]
    assert one.metric("memleash_responder_paused") == 1
    assert one.tell(alert(7)) == 202
    wait_until(
        "the alert in the record",
        lambda: (
            {"f1", f"{7:016x}"}
            <= {told["fingerprint"] for told in one.get("/api/v1/alerts")["alerts"]}
        ),
    )


def test_a_responder_goes_on_with_an_old_file(start: Start, tmp_path: Path) -> None:
    one = start(sqlite_of_version_1(tmp_path / "old.db"))
    works(one)
    assert "database upgraded" in one.program.log.read_text(encoding="utf-8")


def test_of_two_replicas_on_an_old_database_one_upgrades_it_and_the_other_waits(
    postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres_of_version_1(postgres)
    both = [replica(tmp_path, url, name) for name in ("first", "second")]
    hold = "BEGIN; SELECT pg_advisory_xact_lock(7365); SELECT pg_sleep(600)"
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7365 AND"
    with ThreadPoolExecutor(3) as pool:
        holder = pool.submit(postgres.query, hold)
        wait_until("the lock", lambda: postgres.query(f"{waiting} granted") == "1")
        starts = [pool.submit(one.program.start) for one in both]
        wait_until("both to wait", lambda: postgres.query(f"{waiting} NOT granted") == "2")
        postgres.query(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            " AND objid = 7365 AND granted"
        )
        for start in starts:
            start.result()
        assert holder.exception() is not None
        for one in both:  # in here: a program ends with the thread that started it
            works(one)
            one.program.stop()
    logs = [one.program.log.read_text(encoding="utf-8") for one in both]
    assert sorted("database upgraded" in log for log in logs) == [False, True]


def replica(folder: Path, url: str, name: str) -> Responder:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return responder(folder, port, lonely(folder, url), name)
