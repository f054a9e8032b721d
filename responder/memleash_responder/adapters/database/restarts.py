"""Restarts in the database: one open request an agent, and the history of what ended."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.schema import hosts, restarts
from memleash_responder.core.guards import Refusal
from memleash_responder.core.moments import Stamp
from memleash_responder.core.outcomes import HostState, Outcome
from memleash_responder.core.restarts import APPROVED, AWAITING_APPROVAL, Restart, SentCommand
from memleash_responder.errors import Overtaken

NEWEST_COMMANDS = 1000
"""How far back sent commands are counted; more than any budget allows in its window."""


class Restarts:
    """The table of requests."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, new: Restart) -> tuple[Restart, bool]:
        """Store ``new``, or join the agent's open request; whether it was stored comes second."""
        while True:
            if self.open_all([new]):
                return new, True
            joined = self.open_of(new.host, new.agent)
            if joined is not None:
                return joined, False

    def open_all(self, new: Sequence[Restart]) -> set[str]:
        """Store many in one transaction, but none whose agent has an open request already.

        Return the ids of those that were stored.
        """
        stored: set[str] = set()
        if not new:
            return stored
        unless_open = self._database.insert(restarts).on_conflict_do_nothing()
        with self._database.write() as connection:
            # Row by row through one statement: one of 500 rows takes SQLAlchemy longer to build.
            connection.execute(unless_open, [_columns(one) for one in new])
            for some in _batches([one.id for one in new]):
                query = sa.select(restarts.c.id).where(restarts.c.id.in_(some))
                stored.update(connection.scalars(query))
        return stored

    def get(self, restart_id: str) -> Restart | None:
        """Return a request by its id."""
        return self._one(restarts.c.id == restart_id)

    def open_of(self, host: str, agent: str) -> Restart | None:
        """Return the agent's open request, if it has one."""
        return self._one(
            restarts.c.host == host, restarts.c.agent == agent, restarts.c.outcome.is_(None)
        )

    def last_for_alerts(
        self, fingerprints: Sequence[str]
    ) -> Mapping[tuple[str, float], float | None]:
        """Return when the latest request of each alert ended; None while it is open.

        An alert is a fingerprint and the unix time when it began to fire.
        """
        columns = (
            restarts.c.fingerprint,
            restarts.c.alert_started_at,
            restarts.c.finished_at,
        )
        last: dict[tuple[str, float], float | None] = {}
        with self._database.read() as connection:
            for some in _batches(fingerprints):
                query = sa.select(*columns).where(restarts.c.fingerprint.in_(some))
                for row in connection.execute(query.order_by(restarts.c.requested_at)):
                    last[row.fingerprint, row.alert_started_at] = row.finished_at
        return last

    def all_open(self) -> list[Restart]:
        """Return every open request, oldest first."""
        query = sa.select(restarts).where(restarts.c.outcome.is_(None))
        return self._many(query.order_by(restarts.c.requested_at))

    def last_ended(self, words: Collection[Outcome] = ()) -> list[Restart]:
        """Return each agent's newest request that has its word, or has one of these ``words``."""
        ended = restarts.c.outcome.in_(words) if words else restarts.c.outcome.is_not(None)
        newest = (
            sa.select(
                restarts.c.host, restarts.c.agent, sa.func.max(restarts.c.requested_at).label("at")
            )
            .where(ended)
            .group_by(restarts.c.host, restarts.c.agent)
            .subquery()
        )
        query = sa.select(restarts).join(
            newest,
            sa.and_(
                restarts.c.host == newest.c.host,
                restarts.c.agent == newest.c.agent,
                restarts.c.requested_at == newest.c.at,
            ),
        )
        return self._many(query.where(ended))

    def page(
        self,
        *,
        host: str | None = None,
        agent: str | None = None,
        outcome: str | None = None,
        since: float | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Restart]:
        """Return requests, the newest first; ``outcome`` may be ``open``."""
        query = sa.select(restarts)
        if host is not None:
            query = query.where(restarts.c.host == host)
        if agent is not None:
            query = query.where(restarts.c.agent == agent)
        if outcome is not None:
            is_open = restarts.c.outcome.is_(None)
            query = query.where(is_open if outcome == "open" else restarts.c.outcome == outcome)
        if since is not None:
            query = query.where(restarts.c.requested_at >= since)
        query = query.order_by(restarts.c.requested_at.desc(), restarts.c.id)
        return self._many(query.limit(limit).offset(offset))

    def outcomes(self, *, since: float) -> list[tuple[str, str, Outcome | None, Mapping[str, Any]]]:
        """Return (host, agent, word, facts) of every request since a unix time."""
        columns = (restarts.c.host, restarts.c.agent, restarts.c.outcome, restarts.c.facts)
        query = sa.select(*columns).where(restarts.c.requested_at >= since)
        with self._database.read() as connection:
            return [
                (row.host, row.agent, Outcome(row.outcome) if row.outcome else None, row.facts)
                for row in connection.execute(query)
            ]

    def commands_sent(self, *, newest: int, but: str | None = None) -> list[SentCommand]:
        """Return the ``newest`` restart commands that were sent, without request ``but``'s."""
        with self._database.read() as connection:
            return _commands_sent(connection, newest, but)

    def advance(self, restart_id: str, step: str, *, before: str | None = None) -> bool:
        """Say which step an open request is at; False when it has its final word already.

        With ``before`` only a request that is at that step moves: another thread may have
        taken it on.
        """
        return self._update(restart_id, (before,) if before else (), step=step)

    def note(
        self,
        restart_id: str,
        facts: Mapping[str, Any],
        finished_step: Mapping[str, Any] | None = None,
        *,
        next_step: str | None = None,
        at: Collection[str] = (),
    ) -> bool:
        """Add ``facts`` (and a finished step with its duration) to the record of a request.

        In the same write it goes on to ``next_step``. With ``at`` only a request that is open at
        one of these steps is touched; whether there was one is returned.
        """
        with self._database.write() as connection:
            query = sa.select(restarts.c.facts, restarts.c.steps).where(restarts.c.id == restart_id)
            if at:
                query = query.where(restarts.c.outcome.is_(None), restarts.c.step.in_(at))
            row = connection.execute(query.with_for_update()).first()
            if row is None:
                return False
            steps = [*row.steps, finished_step] if finished_step else row.steps
            values = {"facts": {**row.facts, **facts}, "steps": steps}
            values |= {"step": next_step} if next_step else {}
            connection.execute(restarts.update().where(restarts.c.id == restart_id).values(values))
            return True

    def send(
        self,
        restart: Restart,
        clock: Callable[[], Stamp],
        refuse: Callable[[Sequence[SentCommand], Stamp], Refusal | None],
        *,
        life: float,
    ) -> Stamp | Refusal:
        """Note that the command is being sent and return when, unless ``refuse`` speaks against it.

        It is to end the process that started at ``life``.

        ``refuse`` is given what other requests sent, and the moment. Looking and noting are one
        transaction that no second one overlaps, so that two never share the last of a budget.

        Raises Overtaken when the request is not as ``restart`` has it any more: it has its word,
        or another has noted a command meanwhile.
        """
        with self._database.write() as connection:
            if not self._database.is_sqlite:  # whose writers are one at a time anyway
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(7366)"))
            now = clock()  # when the turn has come: what is noted earlier seems to be over earlier
            refusal = refuse(_commands_sent(connection, NEWEST_COMMANDS, restart.id), now)
            if refusal is None:
                note = restarts.update().where(*_as_sent(restart.id, restart.command_sent))
                values = {**_sent_columns(now), "life_to_end": life}
                if connection.execute(note.values(values)).rowcount != 1:
                    raise Overtaken(f"restart {restart.id} of {restart.agent} on {restart.host}")
            return refusal or now

    def not_sent(self, restart: Restart, noted: Stamp) -> None:
        """Take back the note that the command was sent: the connection was lost just before.

        What ``restart`` has of an earlier command stands again.
        """
        former = restart.command_sent
        values: dict[str, object] = dict(_sent_columns(former))
        if former is None:
            values["life_to_end"] = None
        with self._database.write() as connection:
            note = restarts.update().where(*_as_sent(restart.id, noted))
            connection.execute(note.values(values))

    def resolve(self, fingerprint: str, alert_started_at: float) -> int:
        """Say that an alert resolved; return how many open requests that concerns."""
        with self._database.write() as connection:
            result = connection.execute(
                restarts.update()
                .where(
                    restarts.c.fingerprint == fingerprint,
                    restarts.c.alert_started_at <= alert_started_at,
                    restarts.c.outcome.is_(None),
                )
                .values(resolved=True)
            )
            return result.rowcount

    def second(self, restart_id: str, by: str, *, forced: bool) -> None:
        """Record that a person wants what is asked for already, while its command is not sent.

        It is approved by that person, unless somebody decided before, and forced if so said.
        """
        mine = (
            restarts.c.id == restart_id,
            restarts.c.outcome.is_(None),
            restarts.c.command_sent_at.is_(None),
        )
        approve = restarts.update().where(*mine, restarts.c.approval.is_(None))
        force = restarts.update().where(*mine, restarts.c.approval == APPROVED)
        with self._database.write() as connection:
            connection.execute(approve.values(approval=APPROVED, approval_by=by))
            if forced:
                connection.execute(force.values(forced=True))

    def decide(self, restart_id: str, approval: str, by: str) -> bool:
        """Record a person's word; False when the request does not wait for one."""
        with self._database.write() as connection:
            result = connection.execute(
                restarts.update()
                .where(
                    restarts.c.id == restart_id,
                    restarts.c.outcome.is_(None),
                    restarts.c.step == AWAITING_APPROVAL,
                    restarts.c.approval.is_(None),
                )
                .values(approval=approval, approval_by=by)
            )
            return result.rowcount == 1

    def finish(
        self,
        restart_id: str,
        outcome: Outcome,
        reason: str,
        now: float,
        *,
        at: Collection[str] = (),
    ) -> bool:
        """Give an open request its one final word; False when it had one already.

        With ``at`` only a request that is at one of these steps ends: one that a workflow has
        taken on meanwhile is the workflow's to end.
        """
        return self._update(restart_id, at, outcome=outcome, reason=reason, finished_at=now)

    def prune(self, *, before: float, keep: int, counted_since: float) -> int:
        """Delete what ended before a unix time, and all but ``keep``: repeats, then the oldest.

        A repeat is an answer to an alert that was told again and had the same answer later. What
        sent a command since ``counted_since`` stays in any case: cooldowns and budgets count it,
        however many refusals came after it. So does what lost a host that is not back yet: it
        says what the host has to prove.
        """
        same = (restarts.c.fingerprint, restarts.c.alert_started_at, restarts.c.outcome)
        alone = sa.case((restarts.c.fingerprint.is_(None), restarts.c.id))
        newest_first = restarts.c.requested_at.desc()
        nth = sa.func.row_number().over(partition_by=(*same, alone), order_by=newest_first)
        newest = sa.select(restarts.c.id).order_by(sa.case((nth > 1, 1), else_=0), newest_first)
        newest = newest.limit(keep)
        old = sa.or_(restarts.c.finished_at < before, restarts.c.id.not_in(newest))
        sent_at = sa.func.coalesce(restarts.c.command_sent_at, 0.0)
        lost = sa.select(hosts.c.restart_id).where(
            hosts.c.state != HostState.CONNECTED, hosts.c.restart_id.is_not(None)
        )
        with self._database.write() as connection:
            result = connection.execute(
                restarts.delete().where(
                    restarts.c.outcome.is_not(None),
                    old,
                    sent_at < counted_since,
                    restarts.c.id.not_in(lost),
                )
            )
            return result.rowcount

    def _update(self, restart_id: str, at: Collection[str] = (), /, **values: object) -> bool:
        where = [restarts.c.id == restart_id, restarts.c.outcome.is_(None)]
        if at:
            where.append(restarts.c.step.in_(at))
        with self._database.write() as connection:
            return connection.execute(restarts.update().where(*where).values(values)).rowcount == 1

    def _one(self, *where: sa.ColumnElement[bool]) -> Restart | None:
        query = sa.select(restarts).where(*where).order_by(restarts.c.requested_at.desc())
        return next(iter(self._many(query.limit(1))), None)

    def _many(self, query: sa.Select[Any]) -> list[Restart]:
        with self._database.read() as connection:
            return [_restart(row) for row in connection.execute(query).mappings()]


_BATCH = 500

T = TypeVar("T")


def new_id() -> str:
    """Return a fresh request id."""
    return str(uuid.uuid4())


def _batches(many: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield parts that fit into one statement: SQLite allows 32,766 variables."""
    for start in range(0, len(many), _BATCH):
        yield many[start : start + _BATCH]


def _columns(new: Restart) -> dict[str, Any]:
    row = {field.name: getattr(new, field.name) for field in dataclasses.fields(new)}
    row |= {"steps": list(new.steps), "facts": dict(new.facts)}
    return row | _sent_columns(row.pop("command_sent"))


def _restart(row: sa.RowMapping) -> Restart:
    values = dict(row)
    sent = [values.pop(name) for name in _SENT_COLUMNS]
    values["command_sent"] = Stamp(*sent) if sent[0] is not None else None
    values["outcome"] = Outcome(row["outcome"]) if row["outcome"] else None
    return Restart(**values)


def _commands_sent(connection: sa.Connection, newest: int, but: str | None) -> list[SentCommand]:
    # Only the columns that are needed: a request's facts hold its command's output.
    query = sa.select(
        restarts.c.host, restarts.c.agent, *(restarts.c[name] for name in _SENT_COLUMNS)
    )
    query = query.where(restarts.c.command_sent_at.is_not(None), restarts.c.id != (but or ""))
    query = query.order_by(restarts.c.requested_at.desc()).limit(newest)
    return [(host, agent, Stamp(*stamp)) for host, agent, *stamp in connection.execute(query)]


_SENT_COLUMNS = ("command_sent_at", "command_sent_boot_id", "command_sent_uptime")


def _as_sent(restart_id: str, sent: Stamp | None) -> list[sa.ColumnElement[bool]]:
    """Return what is true of an open request while its command was last sent at that moment."""
    was = [
        restarts.c[name].is_not_distinct_from(value) for name, value in _sent_columns(sent).items()
    ]
    return [restarts.c.id == restart_id, restarts.c.outcome.is_(None), *was]


def _sent_columns(sent: Stamp | None) -> dict[str, object]:
    return dict(zip(_SENT_COLUMNS, dataclasses.astuple(sent) if sent else (None,) * 3, strict=True))
