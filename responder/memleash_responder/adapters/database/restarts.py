"""Restarts in the database: one row a request, and at most one open request an agent."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.schema import restarts
from memleash_responder.core.moments import Stamp
from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.restarts import (
    APPROVED,
    AWAITING_APPROVAL,
    DENIED,
    NOT_BEGUN,
    QUEUED,
    Restart,
)
from memleash_responder.core.steps import Step

_LOCK = 7367
"""The same in every release."""


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
            for some in batches([one.id for one in new]):
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

    def all_open(self) -> list[Restart]:
        """Return every open request, oldest first."""
        query = sa.select(restarts).where(restarts.c.outcome.is_(None))
        return self._many(query.order_by(restarts.c.requested_at))

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
        goes_on = {"step": next_step} if next_step else {}
        return self._record(_at(restart_id, at), facts, finished_step, goes_on)

    def move(
        self,
        restart: Restart,
        facts: Mapping[str, Any],
        *,
        to: str,
        at: Collection[str],
        columns: Mapping[str, object],
    ) -> bool:
        """Add ``facts`` to the record and let a request go on ``to`` another step.

        Only one that is open at one of the steps ``at``, and at the attempt that ``restart`` has,
        is touched: a look that took long may be about an attempt that is over. Whether it was is
        returned.
        """
        where = [*_at(restart.id, at), restarts.c.attempt == restart.attempt]
        return self._record(where, facts, None, {**_with_stamps(columns), "step": to})

    def _record(
        self,
        where: Sequence[sa.ColumnElement[bool]],
        facts: Mapping[str, Any],
        finished_step: Mapping[str, Any] | None,
        values: Mapping[str, Any],
    ) -> bool:
        with self._database.write() as connection:
            query = sa.select(restarts.c.id, restarts.c.facts, restarts.c.steps).where(*where)
            row = connection.execute(query.with_for_update()).first()
            if row is None:
                return False
            steps = [*row.steps, finished_step] if finished_step else row.steps
            recorded = {"facts": {**row.facts, **facts}, "steps": steps, **values}
            connection.execute(restarts.update().where(restarts.c.id == row.id).values(recorded))
            return True

    def begin_next(self, places: int) -> Restart | None:
        """Begin the oldest request that is queued, if fewer than ``places`` are under way.

        A host on which one is under way is passed over: its next agent comes after that. Looking
        and beginning are one transaction that no second one overlaps, in any replica. None: there
        is none, or no place.
        """
        is_open = restarts.c.outcome.is_(None)
        is_under_way = sa.and_(is_open, restarts.c.step.in_(tuple(Step)))
        under_way = sa.select(sa.func.count()).where(is_under_way)
        taken = sa.select(restarts.c.host).where(is_under_way)
        queued = sa.select(restarts.c.id).where(
            is_open, restarts.c.step == QUEUED, restarts.c.host.not_in(taken)
        )
        with self._database.write() as connection:
            self._database.lock(connection, _LOCK)
            if (connection.scalar(under_way) or 0) >= places:
                return None
            next_id = connection.scalar(queued.order_by(restarts.c.requested_at).limit(1))
            if next_id is None:
                return None
            begin = restarts.update().where(restarts.c.id == next_id).values(step=Step.ADMIT)
            connection.execute(begin)
        return self.get(next_id)

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

    def endorse(self, wanted: Restart, restart_id: str) -> None:
        """Record that a person wants what is asked for already, while its command is not sent.

        It is approved by that person, unless somebody decided before. It is forced, and has a
        purpose, if so said, and is to begin when the person said last.
        """
        mine = (
            restarts.c.id == restart_id,
            restarts.c.outcome.is_(None),
            restarts.c.command_sent_at.is_(None),
        )
        approve = restarts.update().where(*mine, restarts.c.approval.is_(None))
        approved = restarts.update().where(*mine, restarts.c.approval == APPROVED)
        with self._database.write() as connection:
            connection.execute(approve.values(approval=APPROVED, approval_by=wanted.approval_by))
            said: dict[str, object] = {"not_before": wanted.not_before}
            said |= {"forced": True} if wanted.forced else {}
            said |= {"purpose": wanted.purpose} if wanted.purpose else {}
            connection.execute(approved.values(said))

    def decide(self, restart_id: str, approval: str, by: str) -> bool:
        """Record a person's word; False when it comes too late.

        A request that waits for a word may be approved, and one that has not begun may be denied.
        """
        waits_for_it = [restarts.c.step == AWAITING_APPROVAL, restarts.c.approval.is_(None)]
        may_be = [restarts.c.step.in_(NOT_BEGUN)] if approval == DENIED else waits_for_it
        with self._database.write() as connection:
            result = connection.execute(
                restarts.update()
                .where(
                    restarts.c.id == restart_id,
                    restarts.c.outcome.is_(None),
                    *may_be,
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
        ended = {"outcome": outcome, "reason": reason, "finished_at": now}
        waits_no_more = {"waits_for": None, **stamp_columns("waiting_since", None)}
        return self._update(restart_id, at, **ended, **waits_no_more)

    def _update(self, restart_id: str, at: Collection[str] = (), /, **values: object) -> bool:
        where = [*_at(restart_id, at), restarts.c.outcome.is_(None)]
        with self._database.write() as connection:
            return connection.execute(restarts.update().where(*where).values(values)).rowcount == 1

    def _one(self, *where: sa.ColumnElement[bool]) -> Restart | None:
        query = sa.select(restarts).where(*where).order_by(restarts.c.requested_at.desc())
        return next(iter(self._many(query.limit(1))), None)

    def _many(self, query: sa.Select[Any]) -> list[Restart]:
        with self._database.read() as connection:
            return [restart_of(row) for row in connection.execute(query).mappings()]


_BATCH = 500

T = TypeVar("T")


def new_id() -> str:
    """Return a fresh request id."""
    return str(uuid.uuid4())


def batches(many: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield parts that fit into one statement: SQLite allows 32,766 variables."""
    for start in range(0, len(many), _BATCH):
        yield many[start : start + _BATCH]


def _columns(new: Restart) -> dict[str, Any]:
    row = {field.name: getattr(new, field.name) for field in dataclasses.fields(new)}
    return _with_stamps(row | {"steps": list(new.steps), "facts": dict(new.facts)})


def restart_of(row: sa.RowMapping) -> Restart:
    """Return a row of the table as a Restart."""
    values = dict(row)
    for name in _STAMPS:
        at, boot_id, uptime_seconds = (values.pop(part) for part in stamp_columns(name, None))
        values[name] = Stamp(at, boot_id, uptime_seconds) if at is not None else None
    for name in ("outcome", "waits_for"):
        values[name] = Outcome(row[name]) if row[name] else None
    return Restart(**values)


def _at(restart_id: str, steps: Collection[str]) -> list[sa.ColumnElement[bool]]:
    """Return what is true of a request, and where there are ``steps``, while it is open at one."""
    where = [restarts.c.id == restart_id]
    if steps:
        where += [restarts.c.outcome.is_(None), restarts.c.step.in_(steps)]
    return where


_STAMPS = ("command_sent", "waiting_since")


def stamp_columns(name: str, stamp: Stamp | None) -> dict[str, object]:
    """Return the columns that keep the stamp called ``name``."""
    parts = dataclasses.astuple(stamp) if stamp else (None,) * 3
    return dict(zip((f"{name}_at", f"{name}_boot_id", f"{name}_uptime"), parts, strict=True))


def _with_stamps(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` of a row with each stamp among them in its columns."""
    row = dict(values)
    for name in _STAMPS:
        if name in row:
            row |= stamp_columns(name, row.pop(name))
    return row
