"""The pauses, also those that are over and were not forgotten yet."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.schema import flags, pauses
from memleash_responder.core.pauses import Pause

FORMER_SWITCH = "paused"
"""The flag by which the release before pauses. It goes one release later.

Replicas of both run beside each other for a while, and a pause of ours holds on all of them: the
flag stands while there is any.
"""
_UNSAID = "yes"


class Pauses:
    """One row for each name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Pause]:
        """Return every pause; whether it still holds, it says itself."""
        with self._database.read() as connection:
            return [Pause(**row) for row in connection.execute(sa.select(pauses)).mappings()]

    def put(self, pause: Pause) -> None:
        """Keep a pause, in the place of the one of the same name."""
        values = dataclasses.asdict(pause)
        keys = {"name": values.pop("name")}
        with self._database.write() as connection:
            self._database.upsert(connection, pauses, keys, values)
            switch = {
                "value": pause.reason or _UNSAID,
                "changed_at": pause.since,
                "changed_by": pause.by,
            }
            self._database.upsert(connection, flags, {"name": FORMER_SWITCH}, switch)

    def end(self, name: str) -> bool:
        """End the pause called ``name``; whether there was one."""
        return self._delete(pauses.c.name == name)

    def forget(self, over: Pause) -> bool:
        """Forget a pause that is ``over``, unless it was renewed; whether it was there."""
        return self._delete(pauses.c.name == over.name, pauses.c.until == over.until)

    def _delete(self, *conditions: sa.ColumnElement[bool]) -> bool:
        with self._database.write() as connection:
            connection.execute(_SWITCH.with_for_update())  # who pauses meanwhile comes after this
            ended = connection.execute(pauses.delete().where(*conditions)).rowcount > 0
            if connection.execute(sa.select(pauses.c.name).limit(1)).first() is None:
                connection.execute(flags.delete().where(flags.c.name == FORMER_SWITCH))
            return ended


_SWITCH = sa.select(flags).where(flags.c.name == FORMER_SWITCH)
