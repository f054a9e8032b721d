"""What others say of hosts: people of their maintenance, and controllers of their states."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import sqlalchemy as sa

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.restarts import batches
from memleash_responder.adapters.database.schema import controller_states, maintenance
from memleash_responder.core.facts import Unknown
from memleash_responder.core.host_states import ControllerState
from memleash_responder.core.maintenance import Maintenance
from memleash_responder.core.outcomes import HostState

BELIEVED_SECONDS = 300.0
"""A controller's word that was not renewed for so long means nothing any more."""


class Maintenances:
    """The hosts that people took out of service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def holding(self, now: float) -> Mapping[str, Maintenance]:
        """Return what holds at unix time ``now``, by host."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(maintenance))
            found = {
                row.host: Maintenance(row.by, row.reason, row.since, row.until) for row in rows
            }
        return {host: one for host, one in found.items() if one.holds(now)}

    def begin(self, host: str, new: Maintenance) -> None:
        """Take a host out of service; a second time says why, and until when, anew."""
        with self._database.write() as connection:
            values = dataclasses.asdict(new)
            self._database.upsert(connection, maintenance, {"host": host}, values)

    def end(self, host: str) -> None:
        """Forget a host's maintenance."""
        with self._database.write() as connection:
            connection.execute(maintenance.delete().where(maintenance.c.host == host))


class ControllerStates:
    """The last words of controllers that are asked about the whole fleet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def believed(self, now: float) -> Mapping[str, tuple[ControllerState, ...]]:
        """Return, by host, what its controllers called it lately, where that is not connected."""
        told: dict[str, tuple[ControllerState, ...]] = {}
        with self._database.read() as connection:
            for row in connection.execute(sa.select(controller_states)):
                if abs(now - row.told_at) <= BELIEVED_SECONDS:
                    one = ControllerState(row.controller, HostState(row.state))
                    told[row.host] = (*told.get(row.host, ()), one)
        return told

    def put(
        self, controller: str, told: Mapping[str, HostState | Unknown | None], now: float
    ) -> None:
        """Write what a controller called its hosts; what it could not tell stays as it was."""
        table = controller_states
        known = [host for host, state in told.items() if not isinstance(state, Unknown)]
        odd = {host: told[host] for host in known if told[host] not in (None, HostState.CONNECTED)}
        with self._database.write() as connection:
            for some in batches(known):
                mine = sa.and_(table.c.controller == controller, table.c.host.in_(some))
                connection.execute(table.delete().where(mine))
            for host, state in odd.items():
                values = {"state": state, "told_at": now}
                keys = {"host": host, "controller": controller}
                self._database.upsert(connection, table, keys, values)
            connection.execute(table.delete().where(table.c.told_at < now - 12 * BELIEVED_SECONDS))
