"""Diagnoses: at most one open a host, and the history of those that ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import exc

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.schema import diagnoses
from memleash_responder.core.diagnoses import TRY_AGAIN
from memleash_responder.core.diagnosis_rounds import Rounds
from memleash_responder.core.facts import same_life
from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.restarts import ALERT, QUEUED, REQUESTED

_LOCK = "memleash_diagnoses"

BEGIN = "begin"
"""The first step of what is under way."""


@dataclasses.dataclass(frozen=True, slots=True)
class Diagnosis:
    """A request and how far it got. Times are unix seconds."""

    id: str
    host: str
    agent: str
    requested_at: float
    requested_by: str = ALERT
    """The person who asked, or ALERT."""
    step: str = REQUESTED
    life: float | None = None
    """Start time of the process that is, or was, looked at."""
    rounds: int | None = None
    """How often is looked, and with how many seconds in between; None until it is begun."""
    interval_seconds: float | None = None
    pace: str = ""
    """Both for people, with the growth that they were decided by."""
    outcome: Outcome | None = None
    """None while it is open."""
    reason: str = ""
    report: str = ""
    """The time in the report's path, once it is here."""
    finished_at: float | None = None

    @property
    def asked_by_person(self) -> bool:
        """Whether a person asked for it."""
        return self.requested_by != ALERT


class Diagnoses:
    """The table of diagnoses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, new: Diagnosis) -> bool:
        """Store ``new``; False: the host has an open one."""
        try:
            with self._database.write() as connection:
                connection.execute(diagnoses.insert().values(dataclasses.asdict(new)))
        except exc.IntegrityError:
            return False
        return True

    def get(self, diagnosis_id: str) -> Diagnosis | None:
        """Return a diagnosis by its id."""
        return next(iter(self._select(diagnoses.c.id == diagnosis_id)), None)

    def all_open(self) -> list[Diagnosis]:
        """Return every open diagnosis, the newest first."""
        return self._select(diagnoses.c.outcome.is_(None))

    def open_on(self, host: str) -> Diagnosis | None:
        """Return the open diagnosis on a host, of which there is at most one."""
        return next(
            iter(self._select(diagnoses.c.host == host, diagnoses.c.outcome.is_(None))), None
        )

    def report_of(self, host: str, agent: str, life: float) -> Diagnosis | None:
        """Return the agent's newest diagnosis of ``life`` whose report was fetched."""
        found = self._select(
            diagnoses.c.host == host, diagnoses.c.agent == agent, diagnoses.c.report != ""
        )
        return next((one for one in found if one.life and same_life(one.life, life)), None)

    def last_of(self, host: str, agent: str) -> Diagnosis | None:
        """Return the agent's newest diagnosis."""
        found = self._select(diagnoses.c.host == host, diagnoses.c.agent == agent, limit=1)
        return next(iter(found), None)

    def lives_of(self, host: str, agent: str, *, but: str = "") -> list[float]:
        """Return the lives that had their one diagnosis, other than by the request ``but``."""
        found = self._select(
            diagnoses.c.host == host,
            diagnoses.c.agent == agent,
            diagnoses.c.life.is_not(None),
            diagnoses.c.id != but,
            sa.or_(
                diagnoses.c.outcome.is_(None),
                diagnoses.c.outcome.not_in([str(word) for word in TRY_AGAIN]),
            ),
        )
        return [one.life for one in found if one.life is not None]

    def page(
        self,
        host: str | None = None,
        agent: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Diagnosis]:
        """Return the newest diagnoses, of one host, of one agent, or of all."""
        asked = ((diagnoses.c.host, host), (diagnoses.c.agent, agent))
        conditions = [column == value for column, value in asked if value is not None]
        return self._select(*conditions, limit=limit, offset=offset)

    def queue(self, diagnosis_id: str) -> None:
        """Let a diagnosis that was only requested wait for its place."""
        self._update(diagnosis_id, diagnoses.c.step == REQUESTED, step=QUEUED)

    def begin_next(self, places: int) -> Diagnosis | None:
        """Begin the oldest that is queued, if fewer than ``places`` are under way; None: neither.

        Looking and beginning are one transaction that no second one overlaps, in any replica.
        """
        is_open = diagnoses.c.outcome.is_(None)
        under_way = sa.select(sa.func.count()).where(
            is_open, diagnoses.c.step.not_in((REQUESTED, QUEUED))
        )
        queued = sa.select(diagnoses.c.id).where(is_open, diagnoses.c.step == QUEUED)
        with self._database.write() as connection:
            self._database.lock(connection, _LOCK)
            if (connection.scalar(under_way) or 0) >= places:
                return None
            next_id = connection.scalar(queued.order_by(diagnoses.c.requested_at).limit(1))
            if next_id is None:
                return None
            begin = diagnoses.update().where(diagnoses.c.id == next_id).values(step=BEGIN)
            connection.execute(begin)
        return self.get(next_id)

    def advance(self, diagnosis_id: str, step: str) -> None:
        """Note which step an open diagnosis is at."""
        self._update(diagnosis_id, step=step)

    def begin(self, diagnosis_id: str, life: float, rounds: Rounds) -> None:
        """Note which life an open diagnosis looks at, and how often."""
        self._update(
            diagnosis_id,
            step=BEGIN,
            life=life,
            rounds=rounds.count,
            interval_seconds=rounds.interval_seconds,
            pace=str(rounds),
        )

    def finish(
        self, diagnosis_id: str, outcome: Outcome, reason: str, report: str, now: float
    ) -> bool:
        """Give an open diagnosis its final word; False: it has one."""
        return self._update(
            diagnosis_id,
            outcome=str(outcome),
            reason=reason,
            report=report,
            finished_at=now,
        )

    def prune(self, *, before: float) -> None:
        """Forget what ended before a moment."""
        with self._database.write() as connection:
            connection.execute(diagnoses.delete().where(diagnoses.c.finished_at < before))

    def _update(
        self, diagnosis_id: str, *conditions: sa.ColumnElement[bool], **values: object
    ) -> bool:
        is_open = sa.and_(
            diagnoses.c.id == diagnosis_id, diagnoses.c.outcome.is_(None), *conditions
        )
        with self._database.write() as connection:
            return connection.execute(diagnoses.update().where(is_open).values(values)).rowcount > 0

    def _select(
        self, *conditions: sa.ColumnElement[bool], limit: int = 1000, offset: int = 0
    ) -> list[Diagnosis]:
        columns = (column.label(column.key) for column in diagnoses.c)
        query = sa.select(*columns).where(*conditions).limit(limit).offset(offset)
        with self._database.read() as connection:
            rows: Sequence[sa.RowMapping] = (
                connection.execute(query.order_by(diagnoses.c.requested_at.desc())).mappings().all()
            )
        return [
            Diagnosis(**{**row, "outcome": Outcome(row["outcome"]) if row["outcome"] else None})
            for row in rows
        ]
