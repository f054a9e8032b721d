"""What is remembered of hosts: their states, and the quarantine of their agents."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.schema import hosts, quarantine, replicas, restarts
from memleash_responder.core.heartbeats import RETIRED
from memleash_responder.core.host_states import HostState, by_restarts
from memleash_responder.core.reconnects import MOST_CHANGES


@dataclasses.dataclass(frozen=True, slots=True)
class HostRecord:
    """What is remembered of one host; one that was never touched is connected."""

    host: str
    state: HostState = HostState.CONNECTED
    changed_at: float | None = None
    restart_id: str | None = None
    """The request that holds it, or that lost it."""
    agent: str | None = None
    drained: bool = False
    """An undrain is owed to the controllers."""
    vouched_by: str | None = None
    """Who said that a lost host may be reconnected without proof of a new life."""
    attempts: int = 0
    """Reconnects tried since it was lost."""
    next_attempt_at: float | None = None
    asked_life: float | None = None
    """Start time of the process that ran when a reconnect was last asked for."""
    life_changes: int = 0
    """After how many reconnects in a row the agent was another process."""
    problem: str = ""
    """Why the last attempt did not bring it back."""
    reconnected_by: str | None = None
    """The replica that has the controllers take it back now."""

    @property
    def wants_a_person(self) -> bool:
        """Whether nobody reconnects it by itself any more."""
        return self.life_changes >= MOST_CHANGES


class Hosts:
    """The states of the hosts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, host: str) -> HostRecord:
        """Return what is remembered of ``host``."""
        with self._database.read() as connection:
            row = connection.execute(_RECORDS.where(hosts.c.host == host)).mappings().first()
            return _host(row) if row else HostRecord(host)

    def all(self) -> Mapping[str, HostRecord]:
        """Return every host that was ever held."""
        with self._database.read() as connection:
            rows = connection.execute(_RECORDS).mappings()
            return {row["host"]: _host(row) for row in rows}

    def in_need(self) -> list[HostRecord]:
        """Return the hosts that are not simply in service: held, lost, or owed an undrain."""
        in_need = sa.or_(_IS_HELD, hosts.c.drained)
        with self._database.read() as connection:
            rows = connection.execute(_RECORDS.where(in_need)).mappings()
            return [_host(row) for row in rows]

    def hold(self, host: str, restart_id: str, agent: str, now: float) -> bool:
        """Let an open request hold a connected host; True also when it holds it already."""
        still_open = sa.select(restarts.c.id).where(
            restarts.c.id == restart_id, restarts.c.outcome.is_(None)
        )
        with self._database.write() as connection:
            if connection.execute(still_open).first() is None:
                return False
            note = self._database.insert(hosts).values(**_new_host(host, now))
            connection.execute(note.on_conflict_do_nothing())
            row = connection.execute(
                sa.select(hosts).where(hosts.c.host == host).with_for_update()
            ).one()
            if row.state != HostState.CONNECTED:
                return bool(row.restart_id == restart_id)
            values = {
                "state": HostState.CONNECTING,
                "changed_at": now,
                "restart_id": restart_id,
                "agent": agent,
                "drained": True,
                **_NO_ATTEMPTS,
            }
            connection.execute(hosts.update().where(hosts.c.host == host).values(values))
            return True

    def release(self, host: str, restart_id: str, now: float) -> bool:
        """End a request's hold on a host; False when it does not hold it."""
        mine = (hosts.c.host == host, hosts.c.restart_id == restart_id, _IS_HELD)
        values = {"state": HostState.CONNECTED, "changed_at": now, **_NO_ATTEMPTS}
        with self._database.write() as connection:
            return connection.execute(hosts.update().where(*mine).values(values)).rowcount > 0

    def undrained(self, host: str, restart_id: str | None) -> bool:
        """Remember that the undrain was given; False when another request holds ``host`` by now.

        That one has drained it anew, and owes an undrain of its own.
        """
        mine = sa.and_(hosts.c.host == host, hosts.c.restart_id == restart_id)
        with self._database.write() as connection:
            return connection.execute(hosts.update().where(mine).values(drained=False)).rowcount > 0

    def vouch(self, host: str, by: str) -> None:
        """Remember who takes it upon themselves to have a lost host back: attempts start over."""
        with self._database.write() as connection:
            query = hosts.update().where(hosts.c.host == host, _IS_HELD)
            connection.execute(query.values(_vouched_for(by)))

    def begin_attempt(self, host: str, replica: str, vouched_by: str | None = None) -> bool:
        """Let ``replica`` have a lost host reconnected; False while one that lives does so already.

        With ``vouched_by`` that person is remembered as by ``vouch``, in the same write.
        """
        lives = sa.select(replicas.c.executor_id).where(replicas.c.beat_at != RETIRED)
        asking = hosts.c.reconnected_by
        is_free = sa.or_(asking.is_(None), sa.and_(asking != replica, asking.not_in(lives)))
        word = {} if vouched_by is None else _vouched_for(vouched_by)
        query = hosts.update().where(hosts.c.host == host, _IS_HELD, is_free)
        with self._database.write() as connection:
            return connection.execute(query.values(word | {"reconnected_by": replica})).rowcount > 0

    def end_attempt(self, host: str) -> None:
        """Let another attempt at a host begin."""
        with self._database.write() as connection:
            query = hosts.update().where(hosts.c.host == host)
            connection.execute(query.values(reconnected_by=None))

    def forget_attempts(self, replica: str) -> None:
        """End what a former process of this name was about."""
        with self._database.write() as connection:
            query = hosts.update().where(hosts.c.reconnected_by == replica)
            connection.execute(query.values(reconnected_by=None))

    def note_asked(self, record: HostRecord, life: float, life_changes: int) -> None:
        """Remember at which life of its agent the controllers are asked to take a host back."""
        self._update(record, asked_life=life, life_changes=life_changes)

    def plan_attempt(self, record: HostRecord, next_attempt_at: float | None, problem: str) -> None:
        """Remember that an attempt was in vain and why, and when the next is due."""
        self._update(
            record,
            attempts=record.attempts + 1,
            next_attempt_at=next_attempt_at,
            problem=problem,
        )

    def _update(self, record: HostRecord, **values: object) -> None:
        """Change what is remembered of attempts, unless they started over with a person's word."""
        is_same = hosts.c.vouched_by.is_not_distinct_from(record.vouched_by)
        with self._database.write() as connection:
            query = hosts.update().where(hosts.c.host == record.host, is_same)
            connection.execute(query.values(values))


def _vouched_for(by: str) -> dict[str, Any]:
    return {**_NO_ATTEMPTS, "vouched_by": by}


_NO_ATTEMPTS: Mapping[str, Any] = {
    "vouched_by": None,
    "attempts": 0,
    "next_attempt_at": None,
    "asked_life": None,
    "life_changes": 0,
    "problem": "",
}
_IS_HELD = hosts.c.state != HostState.CONNECTED
"""Whether a request took it and nobody has released it; the rest of its state follows."""
_RECORDS = sa.select(
    *(column for column in hosts.c if column.name not in ("state", "changed_at")),
    _IS_HELD.label("is_held"),
    sa.and_(restarts.c.id.is_not(None), restarts.c.outcome.is_(None)).label("holder_is_open"),
    sa.case((_IS_HELD, restarts.c.finished_at)).label("lost_at"),
    hosts.c.changed_at,
).select_from(hosts.outerjoin(restarts, restarts.c.id == hosts.c.restart_id))


def _host(row: sa.RowMapping) -> HostRecord:
    values = dict(row)
    held, is_open = bool(values.pop("is_held")), bool(values.pop("holder_is_open"))
    values["changed_at"] = values.pop("lost_at") or values["changed_at"]
    return HostRecord(**values, state=by_restarts(is_held=held, holder_is_open=is_open))


def _new_host(host: str, now: float) -> dict[str, object]:
    return {
        "host": host,
        "state": HostState.CONNECTED,
        "changed_at": now,
        "drained": False,
        "attempts": 0,
    }


class Quarantine:
    """Agents that a restart did not help."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Mapping[tuple[str, str], tuple[float, str]]:
        """Return (since, reason) by (host, agent)."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(quarantine))
            return {(row.host, row.agent): (row.since, row.reason) for row in rows}

    def add(self, host: str, agent: str, reason: str, now: float) -> None:
        """Quarantine an agent; a second time says why anew."""
        keys = {"host": host, "agent": agent}
        with self._database.write() as connection:
            self._database.upsert(connection, quarantine, keys, {"since": now, "reason": reason})

    def clear(self, host: str, agent: str) -> bool:
        """End a quarantine; whether there was one."""
        with self._database.write() as connection:
            result = connection.execute(
                quarantine.delete().where(quarantine.c.host == host, quarantine.c.agent == agent)
            )
            return result.rowcount > 0
