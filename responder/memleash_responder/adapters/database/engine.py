"""Opening the database, transactions, and its errors as DatabaseUnavailable.

SQLite runs in WAL mode with full sync, so that a commit survives a power cut, and writers take
the lock at BEGIN, so that two of them wait instead of failing half-way. Those of one process wait
for each other before that: SQLite's own wait is a poll, of up to 100 ms.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.dialects import postgresql, sqlite

from memleash_responder.adapters.database.schema import leases
from memleash_responder.adapters.database.sqlite_file import SqliteFile, UnusableFile
from memleash_responder.errors import DatabaseUnavailable

PATIENCE_SECONDS = 5
"""How long a connection, a turn, or a lock is waited for."""

ANSWER_SECONDS = 7
"""How long a transaction on PostgreSQL may take in all: a webhook has its 503 within 10 s."""

UPGRADE_SECONDS = 900
"""How long a start may take to bring the tables to its version, or wait for who does."""

SQLITE_CACHE_KIB = 256


class SqliteConnection(sqlite3.Connection):
    """A connection to SQLite with a small page cache.

    By default each keeps up to 2 MiB of the database, so that twenty of them grow a responder by
    40 MiB as its history does. The kernel has the file's pages in memory anyway.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.execute(f"PRAGMA cache_size=-{SQLITE_CACHE_KIB}")


_SQLITE = {"timeout": PATIENCE_SECONDS, "factory": SqliteConnection}
_POSTGRESQL = {"tcp_user_timeout": 2000 * PATIENCE_SECONDS}
_AUTOCOMMIT = "AUTOCOMMIT"
_PROBE = "probe"


def engine_url(database: str) -> sa.URL:
    """Return the configured ``database`` for SQLAlchemy, with psycopg 3 as PostgreSQL's driver."""
    url = sa.make_url(database)
    if url.get_backend_name() != "postgresql":
        return url
    # Else psycopg takes the server's encoding, and gives bytes for text where that is SQL_ASCII.
    return url.set(drivername="postgresql+psycopg").update_query_dict({"client_encoding": "utf8"})


class Database:
    """One engine with its two kinds of connection."""

    def __init__(self, database: str, *, pool_size: int = 10, as_found: bool = False) -> None:
        """Prepare ``database`` (a URL of the configuration); nothing is opened yet.

        ``as_found`` leaves the kind of journal that a SQLite file has.

        Raises DatabaseUnavailable without the driver of PostgreSQL, which is an extra.
        """
        self.url = engine_url(database)
        self.name = sa.make_url(database).render_as_string(hide_password=True)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writing = threading.Lock()
        self._file: SqliteFile | None = None
        self._in_time: Callable[[float], contextlib.AbstractContextManager[None]]
        if self.is_sqlite:
            self.engine = self._engine(pool_size, _SQLITE)
            self._in_time = lambda _seconds: contextlib.nullcontext()
            event.listen(self.engine, "connect", _prepare_sqlite)
            if not as_found:
                event.listen(self.engine, "connect", _keep_write_ahead_log)
            event.listen(self.engine, "begin", _begin_immediate)
            return
        try:
            from memleash_responder.adapters.database import timed_postgres  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise self.unavailable(f"{error}; install memleash[postgres]") from error
        self.engine = self._engine(pool_size, _POSTGRESQL)
        self._in_time = timed_postgres.within
        timed_postgres.keep_deadlines(self.engine)
        event.listen(self.engine, "connect", _prepare_postgresql)

    def _engine(self, pool_size: int, connect_args: Mapping[str, object]) -> sa.Engine:
        return sa.create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=PATIENCE_SECONDS,
            pool_pre_ping=not self.is_sqlite,
            connect_args=dict(connect_args),
        )

    def hold(self) -> None:
        """Keep other processes from the same SQLite file until this one ends.

        Raises DatabaseUnavailable when there is one already: the two would take each other's work
        for their own. Likewise for a file that is damaged, or not memleash's. On PostgreSQL
        replicas know of each other.
        """
        file = self.url.database
        if not self.is_sqlite or not file or file == ":memory:":
            return
        try:
            self._file = SqliteFile(Path(file))
        except UnusableFile as error:
            raise self.unavailable(str(error)) from error

    def unavailable(self, why: str) -> DatabaseUnavailable:
        """Return the error that says why this database cannot be used."""
        return DatabaseUnavailable(f"the database {self.name} cannot be used: {why}")

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction, committed at the end. Raises DatabaseUnavailable."""
        with self._transaction(ANSWER_SECONDS) as connection:
            yield connection

    @contextlib.contextmanager
    def upgrading(self) -> Iterator[sa.Connection]:
        """A transaction that may take its time, as it waits for another's. As ``write``."""
        with self._transaction(UPGRADE_SECONDS) as connection:
            if not self.is_sqlite:
                connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
            yield connection

    @contextlib.contextmanager
    def _transaction(self, seconds: float) -> Iterator[sa.Connection]:
        turn = self._turn() if self.is_sqlite else self._in_time(seconds)
        with turn, _translated(self.name), self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        self._check_file()
        if not self._writing.acquire(timeout=PATIENCE_SECONDS):
            raise self.unavailable(f"another write has not ended within {PATIENCE_SECONDS} s")
        try:
            yield
        finally:
            self._writing.release()

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for single SELECTs. Raises DatabaseUnavailable."""
        self._check_file()
        turn = self._in_time(ANSWER_SECONDS)
        with turn, _translated(self.name), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level=_AUTOCOMMIT)

    def _check_file(self) -> None:
        """Raise DatabaseUnavailable when the SQLite file is not what it was any more."""
        if self._file is not None:
            try:
                self._file.check()
            except UnusableFile as error:
                raise self.unavailable(str(error)) from error

    def insert(self, table: sa.Table) -> Any:
        """Return an INSERT that knows ON CONFLICT; SQLite and PostgreSQL spell it alike."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def upsert(
        self,
        connection: sa.Connection,
        table: sa.Table,
        keys: Mapping[str, object],
        values: Mapping[str, object],
    ) -> None:
        """Insert the row of ``keys``, or set its ``values`` where it is there already."""
        connection.execute(
            self.insert(table)
            .values({**keys, **values})
            .on_conflict_do_update(index_elements=list(keys), set_=dict(values))
        )

    def lock(self, connection: sa.Connection, name: str | int) -> None:
        """Wait until no other transaction has locked ``name``; the end of this one frees it.

        For what may not be there yet, so that there is no row to lock. SQLite's writers wait for
        each other anyway.
        """
        if not self.is_sqlite:
            key = name if isinstance(name, int) else sa.func.hashtext(name)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    def now(self) -> sa.ColumnElement[float]:
        """The database's own clock, unix time: the same for every replica."""
        if self.is_sqlite:
            return (sa.func.julianday("now") - 2440587.5) * 86400.0
        return sa.func.extract("epoch", sa.func.clock_timestamp()).cast(sa.Double)

    def writable(self) -> str | None:
        """Return why nothing can be stored now, or None when it can."""
        try:
            with self.write() as connection:
                connection.execute(leases.delete().where(leases.c.name == _PROBE))
                connection.execute(leases.insert().values(name=_PROBE, owner="", until=0))
                connection.execute(leases.delete().where(leases.c.name == _PROBE))
        except DatabaseUnavailable as error:
            return str(error)
        return None

    def close(self) -> None:
        """Close every connection, and give the file up."""
        self.engine.dispose()
        if self._file is not None:
            self._file.close()
            self._file = None


@contextlib.contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except (exc.DatabaseError, exc.InterfaceError, exc.TimeoutError) as error:
        if not _is_the_databases_fault(error):
            raise
        cause = getattr(error, "orig", None) or error
        raise DatabaseUnavailable(
            f"the database {name} cannot be used: {' '.join(str(cause).split())}"
        ) from error


def _is_the_databases_fault(error: exc.SQLAlchemyError) -> bool:
    """Whether it may pass when the database is mended: not what a value or our own code caused."""
    if isinstance(error, exc.IntegrityError | exc.DataError):
        return False
    if isinstance(error, exc.ProgrammingError):  # a table was dropped, a right was taken away
        return getattr(error.orig, "sqlstate", None) is not None
    return True


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_immediate alone
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _keep_write_ahead_log(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    """Let a server that hangs, or one that stops while it holds a lock, hold nobody for long."""
    connection.autocommit = True
    for what in ("statement_timeout", "idle_in_transaction_session_timeout"):
        connection.execute(f"SET {what} = '{2 * PATIENCE_SECONDS}s'")
    connection.autocommit = False


def _begin_immediate(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != _AUTOCOMMIT:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
