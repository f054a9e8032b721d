"""The notices for people: which were said to whom, and which are to be sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.restarts import batches
from memleash_responder.adapters.database.schema import notices

_BEGINNING = ""
"""The key that says since when a target is told anything."""


@dataclasses.dataclass(frozen=True, slots=True)
class Unsent:
    """A notice on its way to one target. Times are unix seconds."""

    target: str
    key: str
    title: str
    body: str
    created_at: float
    tries: int
    """How often it failed."""


class Notices:
    """One row for each notice and target."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, target: str, keys: Sequence[str]) -> set[str] | None:
        """Return those of ``keys`` that ``target`` was told, or is going to be.

        None for a target that was never told anything.
        """
        known: set[str] = set()
        with self._database.read() as connection:
            for some in batches([_BEGINNING, *keys]):
                query = sa.select(notices.c.key).where(
                    notices.c.target == target, notices.c.key.in_(some)
                )
                known.update(connection.scalars(query))
        return known if _BEGINNING in known else None

    def begin(self, target: str, keys: Collection[str], now: float) -> None:
        """Have ``target`` told what happens from now on, and nothing of ``keys``."""
        done = {"title": "", "body": "", "created_at": now, "tries": 0, "next_try_at": None}
        with self._database.write() as connection:
            for key in (_BEGINNING, *keys):
                self._insert(connection, {"target": target, "key": key, **done})

    def add(self, target: str, key: str, title: str, body: str, now: float) -> None:
        """Have a notice sent; one that is there already stays as it is."""
        text = {"target": target, "key": key, "title": title, "body": body}
        with self._database.write() as connection:
            row = {**text, "created_at": now, "tries": 0, "next_try_at": now}
            self._insert(connection, row)

    def due(self, target: str, now: float, most: int) -> list[Unsent]:
        """Return what is to be sent to ``target`` by now, the oldest first."""
        columns = [notices.c[field.name] for field in dataclasses.fields(Unsent)]
        of_target = (notices.c.target == target, notices.c.next_try_at <= now)
        query = sa.select(*columns).where(*of_target)
        with self._database.read() as connection:
            rows = connection.execute(
                query.order_by(notices.c.created_at, notices.c.key).limit(most)
            )
            return [Unsent(**row) for row in rows.mappings()]

    def tried(self, one: Unsent, next_try_at: float | None) -> None:
        """Write that sending ``one`` was tried; without a next time it is done with."""
        of = (notices.c.target == one.target, notices.c.key == one.key)
        values = {"tries": one.tries + 1, "next_try_at": next_try_at}
        with self._database.write() as connection:
            connection.execute(notices.update().where(*of).values(values))

    def postpone(self, target: str, until: float) -> None:
        """Send nothing of what is due to ``target`` before a unix time."""
        due = (notices.c.target == target, notices.c.next_try_at < until)
        with self._database.write() as connection:
            connection.execute(notices.update().where(*due).values(next_try_at=until))

    def prune(self, *, before: float) -> None:
        """Forget what was written before a unix time, also what is of no target any more."""
        old = (notices.c.created_at < before, notices.c.key != _BEGINNING)
        with self._database.write() as connection:
            connection.execute(notices.delete().where(*old))

    def _insert(self, connection: sa.Connection, row: Mapping[str, object]) -> None:
        insert = self._database.insert(notices).values(row)
        connection.execute(insert.on_conflict_do_nothing())
