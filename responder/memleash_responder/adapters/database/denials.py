"""The denials, also those that hold no longer: the next one replaces them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import sqlalchemy as sa

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.schema import denials
from memleash_responder.core.denials import Denial


class Denials:
    """One row for each agent on a host that a person said no to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Mapping[tuple[str, str], Denial]:
        """Return every denial by (host, agent); whether it still holds, it says itself."""
        with self._database.read() as connection:
            return {
                (row.host, row.agent): Denial(row.by, row.since, row.until, row.life)
                for row in connection.execute(sa.select(denials))
            }

    def put(self, host: str, agent: str, denial: Denial) -> None:
        """Keep a denial, in the place of the one before."""
        keys = {"host": host, "agent": agent}
        with self._database.write() as connection:
            self._database.upsert(connection, denials, keys, dataclasses.asdict(denial))

    def clear(self, host: str, agent: str) -> bool:
        """Take a denial back; whether there was one."""
        of = (denials.c.host == host, denials.c.agent == agent)
        with self._database.write() as connection:
            return connection.execute(denials.delete().where(*of)).rowcount > 0
