"""Connections to PostgreSQL on which nobody waits beyond a deadline.

libpq has none for a query: a server that was stopped, or a proxy that accepts and never answers,
holds whoever asks for as long as TCP does. Its statement_timeout is the server's to keep.
"""

from __future__ import annotations

import contextlib
import contextvars
import time
from collections.abc import Iterator
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg.abc import PQGen
from sqlalchemy import event

_INTERVAL_SECONDS = 0.1
_SHORTEST_CONNECT_SECONDS, _LONGEST_CONNECT_SECONDS = 2, 5  # libpq counts in whole seconds from 2

_deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)
"""When what this thread does with the database must be over, by time.monotonic()."""

RV = TypeVar("RV")


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let every wait for PostgreSQL in the block be over in so many seconds."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


class _TimedConnection(psycopg.Connection[Any]):
    def wait(
        self,
        gen: PQGen[RV],
        interval: float = _INTERVAL_SECONDS,
        timeout: float | None = None,
    ) -> RV:
        """Wait as psycopg does, but not beyond the deadline; then the connection is closed."""
        until = _deadline.get()
        if until is None:
            return super().wait(gen, interval, timeout)
        left_seconds = max(0.0, until - time.monotonic())
        try:
            return super().wait(gen, interval, left_seconds)
        except psycopg.OperationalError as error:
            if time.monotonic() < until:
                raise
            self.close()  # nobody can say what the server will make of it
            raise _no_answer() from error


def keep_deadlines(engine: sa.Engine) -> None:
    """Have ``engine`` make connections that keep to the deadline of ``within``."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> _TimedConnection:
        until = _deadline.get()
        seconds: float = _LONGEST_CONNECT_SECONDS
        if until is not None:
            left_seconds = until - time.monotonic()
            if left_seconds < _SHORTEST_CONNECT_SECONDS:
                raise _no_answer()
            seconds = min(seconds, left_seconds / 2)  # a name may have two addresses
        parameters["connect_timeout"] = max(_SHORTEST_CONNECT_SECONDS, int(seconds))
        return _TimedConnection.connect(*arguments, **parameters)


def _no_answer() -> psycopg.OperationalError:
    return psycopg.OperationalError("the server does not answer in time")
