"""What others say of hosts: people of their maintenance, controllers, and Prometheus of pings."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.restarts import batches
from memleash_responder.adapters.database.schema import (
    controller_states,
    failing_pings,
    maintenance,
)
from memleash_responder.core.controller_rounds import BELIEVED_SECONDS, LONGEST_BELIEVED_SECONDS
from memleash_responder.core.facts import Unknown
from memleash_responder.core.host_states import ControllerState, HostState
from memleash_responder.core.maintenance import Maintenance


class Maintenances:
    """The hosts that people took out of service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, host: str | None = None) -> Mapping[str, Maintenance]:
        """Return every one by host; whether it still holds, it says itself.

        With ``host``, of this one alone.
        """
        with self._database.read() as connection:
            return {
                row.host: Maintenance(row.by, row.reason, row.since, row.until)
                for row in connection.execute(_of(maintenance, host))
            }

    def holding(self, now: float, host: str | None = None) -> Mapping[str, Maintenance]:
        """Return what holds at unix time ``now``, by host; with ``host``, of this one alone."""
        return {name: one for name, one in self.all(host).items() if one.holds(now)}

    def begin(self, host: str, new: Maintenance) -> None:
        """Take a host out of service; a second time says why, and until when, anew."""
        with self._database.write() as connection:
            values = dataclasses.asdict(new)
            self._database.upsert(connection, maintenance, {"host": host}, values)

    def end(self, host: str) -> None:
        """Forget a host's maintenance."""
        self._delete(maintenance.c.host == host)

    def forget(self, host: str, over: Maintenance) -> bool:
        """Forget what is ``over``, unless it was renewed; whether it was there."""
        return self._delete(maintenance.c.host == host, maintenance.c.until == over.until)

    def _delete(self, *conditions: sa.ColumnElement[bool]) -> bool:
        with self._database.write() as connection:
            return connection.execute(maintenance.delete().where(*conditions)).rowcount > 0


class ControllerStates:
    """The last words of controllers that are asked about the whole fleet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def believed(
        self, now: float, controllers: Collection[str], host: str | None = None
    ) -> Mapping[str, tuple[ControllerState, ...]]:
        """Return, by host, what ``controllers`` called it lately, where that is not connected.

        With ``host``, of this one alone.
        """
        words: dict[str, tuple[ControllerState, ...]] = {}
        with self._database.read() as connection:
            for row in connection.execute(_of(controller_states, host)):
                if row.controller in controllers and _is_believed(row, now):
                    word = ControllerState(row.controller, HostState(row.state), row.since)
                    words[row.host] = (*words.get(row.host, ()), word)
        return words

    def put(
        self,
        controller: str,
        words: Mapping[str, HostState | Unknown | None],
        now: float,
        believed_until: float,
    ) -> Mapping[str, HostState | None]:
        """Write what a controller called some hosts, and return what has changed, by host.

        What it could not tell stays as it was.
        """
        table = controller_states
        said = {host: word for host, word in words.items() if not isinstance(word, Unknown)}
        odd = {host: word for host, word in said.items() if word not in (None, _USUAL)}
        with self._database.write() as connection:
            self._database.lock(connection, f"{table.name} {controller}")
            mine = table.c.controller == controller
            found = connection.execute(sa.select(table).where(mine)).all()
            before = {row.host: row for row in found if _is_believed(row, now)}
            for some in batches(list(said)):
                connection.execute(table.delete().where(mine, table.c.host.in_(some)))
            connection.execute(table.delete().where(mine, table.c.believed_until < now))
            rows = [
                {
                    "host": host,
                    "controller": controller,
                    "state": word,
                    "since": now,
                    "believed_until": believed_until,
                    **_kept(before.get(host), word, believed_until),
                }
                for host, word in odd.items()
            ]
            if rows:
                connection.execute(table.insert(), rows)
        was = {host: row.state for host, row in before.items()}
        return {host: word for host, word in said.items() if was.get(host) != odd.get(host)}


class FailingPings:
    """The hosts whose pings failed when Prometheus was last asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def believed(self, now: float, host: str | None = None) -> Mapping[str, float]:
        """Return since when they fail, by host, as far as it is believed at unix time ``now``.

        With ``host``, of this one alone.
        """
        with self._database.read() as connection:
            rows = connection.execute(_of(failing_pings, host))
            return {
                row.host: row.since for row in rows if abs(now - row.seen_at) <= BELIEVED_SECONDS
            }

    def put(self, hosts: Collection[str], now: float) -> Mapping[str, bool]:
        """Write whose pings fail now, and return what has changed: whether they fail, by host."""
        with self._database.write() as connection:
            self._database.lock(connection, failing_pings.name)
            found = connection.execute(sa.select(failing_pings))
            before = {row.host: row.since for row in found}
            connection.execute(failing_pings.delete())
            rows = [
                {"host": host, "since": before.get(host, now), "seen_at": now} for host in hosts
            ]
            if rows:
                connection.execute(failing_pings.insert(), rows)
        return {host: host in hosts for host in sorted(before.keys() ^ set(hosts))}


_USUAL = HostState.CONNECTED


def _of(table: sa.Table, host: str | None) -> sa.Select[Any]:
    """Return the query for a table's rows, all or those of one host."""
    return sa.select(table) if host is None else sa.select(table).where(table.c.host == host)


def _is_believed(row: sa.Row[Any], now: float) -> bool:
    """Whether a controller's word still counts; none does after the clock was set far back."""
    return bool(0 <= row.believed_until - now <= LONGEST_BELIEVED_SECONDS)


def _kept(before: sa.Row[Any] | None, word: HostState | None, until: float) -> dict[str, float]:
    """Return what stays of a word that is said again; a belief is not cut short by it."""
    if before is None or before.state != word:
        return {}
    return {"since": before.since, "believed_until": max(before.believed_until, until)}
