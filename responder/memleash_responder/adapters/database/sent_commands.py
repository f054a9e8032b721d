"""The commands that restarts sent: what cooldowns and budgets count, and the note of a new one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.restarts import stamp_columns
from memleash_responder.adapters.database.schema import restarts
from memleash_responder.core.moments import Stamp
from memleash_responder.core.outcomes import Refusal
from memleash_responder.core.restarts import Restart, SentCommand
from memleash_responder.errors import Overtaken

_LOCK = 7366
"""The same in every release."""
_columns = functools.partial(stamp_columns, "command_sent")


class SentCommands:
    """The columns of the table of restarts that say when a command was sent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sent(self, seconds: float, now: Stamp, *, but: str | None = None) -> list[SentCommand]:
        """Return what was sent in the last ``seconds``, without what restart ``but`` sent."""
        with self._database.read() as connection:
            return _sent(connection, seconds, now, but)

    def note_sent(
        self,
        restart: Restart,
        clock: Callable[[], Stamp],
        refuse: Callable[[Sequence[SentCommand], Stamp], Refusal | None],
        *,
        life: float,
        counted_seconds: float,
    ) -> Stamp | Refusal:
        """Note that the command is being sent and return when, unless ``refuse`` speaks against it.

        It is to end the process that started at ``life``.

        ``refuse`` is given what others sent in ``counted_seconds``, and the moment. Looking and
        noting are one transaction that no second one overlaps, so that two never share the last
        of a budget.

        Raises Overtaken when the request is not as ``restart`` has it any more: it has its word,
        or another has noted a command meanwhile.
        """
        with self._database.write() as connection:
            self._database.lock(connection, _LOCK)
            now = clock()  # when the turn has come: what is noted earlier seems to be over earlier
            refusal = refuse(_sent(connection, counted_seconds, now, restart.id), now)
            if refusal is None:
                note = restarts.update().where(*_as_sent(restart.id, restart.command_sent))
                values = {**_columns(now), "life_to_end": life}
                if connection.execute(note.values(values)).rowcount != 1:
                    raise Overtaken(f"restart {restart.id} of {restart.agent} on {restart.host}")
            return refusal or now

    def not_sent(self, restart: Restart, noted: Stamp) -> None:
        """Take back the note that the command was sent: the connection was lost just before.

        What ``restart`` has of an earlier command stands again.
        """
        former = restart.command_sent
        values: dict[str, object] = dict(_columns(former))
        if former is None:
            values["life_to_end"] = None
        with self._database.write() as connection:
            note = restarts.update().where(*_as_sent(restart.id, noted))
            connection.execute(note.values(values))


def _sent(
    connection: sa.Connection, seconds: float, now: Stamp, but: str | None
) -> list[SentCommand]:
    """Return what was sent in that time by either clock: the wall clock may have been set."""
    at, boot_id, uptime_seconds = (restarts.c[name] for name in _columns(None))
    in_this_boot = sa.and_(boot_id == now.boot_id, uptime_seconds >= now.uptime_seconds - seconds)
    # Only the columns that are needed: a request's facts hold its command's output.
    query = sa.select(restarts.c.host, restarts.c.agent, at, boot_id, uptime_seconds).where(
        at.is_not(None),
        sa.or_(at >= now.at - seconds, in_this_boot),
        restarts.c.id != (but or ""),
    )
    return [(host, agent, Stamp(*stamp)) for host, agent, *stamp in connection.execute(query)]


def _as_sent(restart_id: str, sent: Stamp | None) -> list[sa.ColumnElement[bool]]:
    """Return what is true of an open request while its command was last sent at that moment."""
    was = [restarts.c[name].is_not_distinct_from(value) for name, value in _columns(sent).items()]
    return [restarts.c.id == restart_id, restarts.c.outcome.is_(None), *was]
