"""The history of restarts: what is asked of those that ended, and how long it is kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.restarts import batches, restart_of
from memleash_responder.adapters.database.schema import hosts, restarts
from memleash_responder.core.host_states import HostState
from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.restarts import Restart
from memleash_responder.core.time_bought import TimeBought, times_bought

_NOT_PASSED = (Outcome.ALREADY_RESTARTED, Outcome.BELOW_HARD_LIMIT, Outcome.RESOLVED)
"""Words for an alert that does not show that the life of now has passed its limit."""


class RestartHistory:
    """What is asked of the table of restarts as a whole."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
            for some in batches(fingerprints):
                query = sa.select(*columns).where(restarts.c.fingerprint.in_(some))
                for row in connection.execute(query.order_by(restarts.c.requested_at)):
                    last[row.fingerprint, row.alert_started_at] = row.finished_at
        return last

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

    def ended_since(self, since: float) -> list[Restart]:
        """Return the requests that ended after a unix time."""
        return self._many(sa.select(restarts).where(restarts.c.finished_at > since))

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

    def restarted_since(self, host: str, agent: str, since: float) -> bool:
        """Return whether an agent was restarted by us after a unix time."""
        query = sa.select(restarts.c.id).where(
            restarts.c.host == host,
            restarts.c.agent == agent,
            restarts.c.outcome == Outcome.RESTARTED,
            restarts.c.command_sent_at > since,
        )
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def times_bought(
        self, *, host: str | None = None, agent: str | None = None, since: float = 0.0
    ) -> list[TimeBought]:
        """Return what each restart since a unix time bought, as far as it is known, oldest first.

        An alert that was about the life before, or of which nothing was seen, does not end it.
        """
        columns = (
            restarts.c.host,
            restarts.c.agent,
            restarts.c.command_sent_at,
            restarts.c.alert_started_at,
            restarts.c.outcome,
            restarts.c.purpose,
        )
        query = sa.select(*columns)
        if since:  # what ends the time of a restart was sent or asked for after it
            sent, asked = restarts.c.command_sent_at, restarts.c.requested_at
            query = query.where(sa.or_(sent >= since, asked >= since))
        if host is not None:
            query = query.where(restarts.c.host == host)
        if agent is not None:
            query = query.where(restarts.c.agent == agent)
        began: list[tuple[str, str, float]] = []
        ends: dict[tuple[str, str], list[float]] = {}
        planned: dict[tuple[str, str], list[float]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                passed_at = None if row.outcome in _NOT_PASSED else row.alert_started_at
                known = [at for at in (row.command_sent_at, passed_at) if at is not None]
                ends.setdefault((row.host, row.agent), []).extend(known)
                if row.purpose and row.command_sent_at is not None:
                    planned.setdefault((row.host, row.agent), []).append(row.command_sent_at)
                if row.outcome == Outcome.RESTARTED and row.command_sent_at is not None:
                    began.append((row.host, row.agent, row.command_sent_at))
        return [one for one in times_bought(began, ends, planned) if one.restarted_at >= since]

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

    def _many(self, query: sa.Select[Any]) -> list[Restart]:
        with self._database.read() as connection:
            return [restart_of(row) for row in connection.execute(query).mappings()]
