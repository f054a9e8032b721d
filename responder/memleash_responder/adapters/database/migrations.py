"""The version of the tables, and the way from each version to the next.

``schema`` has the tables as they are now: what is missing is made by it. A migration changes a
table that is there already. It is plain SQL, which does not change when ``schema`` does. Replicas
of the release before must be able to go on with what it leaves: an upgrade replaces one after the
other.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import exc

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.schema import METADATA, restarts, schema

log = logging.getLogger(__name__)

FIRST_VERSION = 1
"""What was made before versions were recorded."""

MIGRATIONS: Mapping[int, Sequence[str]] = {
    2: (
        "CREATE INDEX memleash_restarts_commands ON memleash_restarts (command_sent_at)"
        " WHERE command_sent_at IS NOT NULL",
    ),
    3: (
        "ALTER TABLE memleash_restarts ADD COLUMN waits_for VARCHAR(32)",
        "ALTER TABLE memleash_restarts ADD COLUMN waiting_since_at DOUBLE PRECISION",
        "ALTER TABLE memleash_restarts ADD COLUMN waiting_since_boot_id VARCHAR(36)",
        "ALTER TABLE memleash_restarts ADD COLUMN waiting_since_uptime DOUBLE PRECISION",
        "ALTER TABLE memleash_restarts ADD COLUMN waited_seconds"
        " DOUBLE PRECISION NOT NULL DEFAULT 0",
        "ALTER TABLE memleash_restarts ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE memleash_hosts ADD COLUMN asked_life DOUBLE PRECISION",
        "ALTER TABLE memleash_hosts ADD COLUMN life_changes INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE memleash_hosts ADD COLUMN problem TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE memleash_hosts ADD COLUMN reconnected_by VARCHAR(256)",
        # The switch stays, so that replicas of the release before are still paused.
        'INSERT INTO memleash_pauses (name, "by", reason, since)'
        " SELECT 'default', changed_by, CASE value WHEN 'yes' THEN '' ELSE value END, changed_at"
        " FROM memleash_flags WHERE name = 'paused'",
        "UPDATE memleash_diagnoses SET verdict = 'diagnoser_failed'"
        " WHERE verdict = 'collector_failed'",
    ),
    4: (
        "ALTER TABLE memleash_restarts ADD COLUMN purpose TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE memleash_restarts ADD COLUMN not_before DOUBLE PRECISION",
    ),
}
"""By the version that they lead to, statements that SQLite and PostgreSQL understand."""

NEWEST_VERSION = max(MIGRATIONS)

_LOCK = 7365
"""The same in every release."""
_OURS = "memleash_"
_DBOS = "dbos"
_ENCODINGS = ("UTF8", "SQL_ASCII")
"""SQL_ASCII stores bytes as they come, and ours are UTF-8."""


def upgrade(database: Database) -> None:
    """Make the tables, or bring them to the newest version; one replica does it, others wait.

    Raises DatabaseUnavailable, also for a database without UTF-8, for one that is another
    program's, and for one of a newer version. Then nothing is changed.
    """
    _check_encoding(database)
    with database.upgrading() as connection:
        found = _upgrade(database, connection)
    if found is not None and found < NEWEST_VERSION:
        log.info("database upgraded", extra={"from": found, "to": NEWEST_VERSION})


def rehearse(database: Database) -> int | None:
    """Do what ``upgrade`` does, take it back, and return the version that was found.

    None stands for a database without tables. Raises DatabaseUnavailable as ``upgrade`` does, and
    also where nothing can be written, or DBOS could not make the schema of its own.
    """
    _check_encoding(database)
    with database.upgrading() as connection:
        found = _upgrade(database, connection)
        connection.execute(schema.update().values(version=NEWEST_VERSION))
        if not database.is_sqlite and _DBOS not in sa.inspect(connection).get_schema_names():
            connection.execute(sa.schema.CreateSchema(_DBOS))
        connection.rollback()
    return found


def _upgrade(database: Database, connection: sa.Connection) -> int | None:
    """Bring the tables to the newest version and return the one that was found.

    1. wait for a replica that does the same; 2. refuse what is not ours, or newer; 3. make what
    is missing; 4. change what is older; 5. refuse tables that are still not as they should be.
    """
    database.lock(connection, _LOCK)
    _refuse_foreign(database, connection)
    found = _found_version(connection)
    if found is not None and found > NEWEST_VERSION:
        raise database.unavailable(
            f"its tables have version {found}, and this release knows none above {NEWEST_VERSION}:"
            " a newer release has upgraded it. Start that release,"
            " or restore a backup from before the upgrade"
        )
    METADATA.create_all(connection)
    for number in range((found or NEWEST_VERSION) + 1, NEWEST_VERSION + 1):
        _migrate(database, connection, number)
    _refuse_incomplete(database, connection)
    if found != NEWEST_VERSION:
        connection.execute(schema.delete())
        connection.execute(schema.insert().values(version=NEWEST_VERSION))
    return found


def _found_version(connection: sa.Connection) -> int | None:
    tables = sa.inspect(connection).get_table_names()
    if schema.name in tables:
        return connection.scalar(sa.select(schema.c.version)) or FIRST_VERSION
    return FIRST_VERSION if restarts.name in tables else None


def _migrate(database: Database, connection: sa.Connection, number: int) -> None:
    try:
        for statement in MIGRATIONS[number]:
            connection.execute(sa.text(statement))
    except exc.DBAPIError as error:
        why = " ".join(str(error.orig).split())
        raise database.unavailable(
            f"its tables cannot be brought to version {number}, and stay as they were: {why}"
        ) from error


def _refuse_foreign(database: Database, connection: sa.Connection) -> None:
    tables = sa.inspect(connection).get_table_names()
    if tables and not any(name.startswith(_OURS) for name in tables):
        named = ", ".join(sorted(tables)[:3])
        raise database.unavailable(
            f"it is another program's (its tables: {named});"
            " give the responder a database of its own"
        )


def _refuse_incomplete(database: Database, connection: sa.Connection) -> None:
    inspector = sa.inspect(connection)
    for table in METADATA.sorted_tables:
        there = {column["name"] for column in inspector.get_columns(table.name)}
        missing = sorted({column.name for column in table.columns} - there)
        if missing:
            raise database.unavailable(
                f"its table {table.name} has no column {', '.join(missing)}:"
                " another program made it, or it was changed by hand"
            )


def _check_encoding(database: Database) -> None:
    """Refuse what could not store every label that Prometheus allows."""
    if database.is_sqlite:
        return
    with database.read() as connection:
        encoding = connection.scalar(sa.text("SHOW server_encoding"))
    if encoding not in _ENCODINGS:
        raise database.unavailable(
            f"it has the encoding {encoding}; allowed: {', '.join(_ENCODINGS)}. Make it with"
            " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
