"""What the replicas share: switches, who is alive, and who works for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.schema import flags, leases, replicas
from memleash_responder.core.heartbeats import RETIRED


class Flags:
    """Switches that outlive the process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Mapping[str, tuple[str, float, str]]:
        """Return (value, changed at, changed by) by name."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(flags))
            return {row.name: (row.value, row.changed_at, row.changed_by) for row in rows}

    def set(self, name: str, value: str, by: str, now: float) -> None:
        """Set a switch; an empty value clears it."""
        with self._database.write() as connection:
            if not value:
                connection.execute(flags.delete().where(flags.c.name == name))
                return
            values = {"value": value, "changed_at": now, "changed_by": by}
            self._database.upsert(connection, flags, {"name": name}, values)


class Replicas:
    """Who is alive, and who does what one does for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, executor_id: str, version: str) -> None:
        """Say that a replica is alive."""
        with self._database.write() as connection:
            values = {"version": version, "beat_at": self._database.now()}
            keys = {"executor_id": executor_id}
            self._database.upsert(connection, replicas, keys, values)

    def versions(self) -> set[str]:
        """Return the versions of all replicas but those that retired or were found dead.

        On SQLite there are no others: rows that an earlier release wrote mean nothing.
        """
        if self._database.is_sqlite:
            return set()
        there = replicas.c.beat_at != RETIRED
        with self._database.read() as connection:
            return set(connection.scalars(sa.select(replicas.c.version).where(there)))

    def signs(self) -> Mapping[str, float]:
        """Return each replica's last sign of life."""
        query = sa.select(replicas.c.executor_id, replicas.c.beat_at)
        with self._database.read() as connection:
            return {row.executor_id: row.beat_at for row in connection.execute(query)}

    def retire(self, executor_id: str) -> None:
        """Say that a replica stops, so that its work is taken over at once."""
        with self._database.write() as connection:
            mine = replicas.update().where(replicas.c.executor_id == executor_id)
            connection.execute(mine.values(beat_at=RETIRED))

    def forget(self, executor_ids: Iterable[str]) -> None:
        """Forget replicas whose work was taken over."""
        with self._database.write() as connection:
            connection.execute(
                replicas.delete().where(replicas.c.executor_id.in_(list(executor_ids)))
            )

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        """Take or keep a lease for ``seconds`` from now; False while another holds it."""
        now = self._database.now()
        with self._database.write() as connection:
            values = {"owner": owner, "until": now + seconds}
            clock_set_back = leases.c.until > now + 2 * seconds
            result = connection.execute(
                self._database.insert(leases)
                .values(name=name, **values)
                .on_conflict_do_update(
                    index_elements=["name"],
                    set_=values,
                    where=sa.or_(leases.c.owner == owner, leases.c.until < now, clock_set_back),
                )
                .returning(leases.c.owner)
            )
            return result.first() is not None
