"""Telling people what was done: found from the database, kept in it, sent, tried again.

A notice is sent at least once. Only a process that dies between sending one and noting it sends
it twice. Nothing waits for a notice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from memleash_responder.adapters.database.notices import Unsent
from memleash_responder.core import notices
from memleash_responder.core.moments import rfc3339
from memleash_responder.core.notices import GIVEN_UP_SECONDS, Event, Notice
from memleash_responder.errors import NoticeNotSent
from memleash_responder.notify_settings import Notify, rendered
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.storm_breaker import STORM, standing_storm

LOOK_SECONDS = 2.0
UNTIL_A_RELOAD_SECONDS = 30.0
"""How often it is looked whether anybody is to be told at all."""
LOOKED_BACK_SECONDS = 3600.0
"""What happened longer ago, say while no responder ran, is not told any more."""
KEPT_SECONDS = 2 * GIVEN_UP_SECONDS
"""Until then a notice may still be found, or sent, so it must be known which were."""
MOST_AT_ONCE = 20

log = logging.getLogger(__name__)

Send = Callable[[Path, str, str, float], None]


class Notices:
    """Tells every target of the configuration what it wants to hear of, once."""

    def __init__(self, services: Services, send: Send) -> None:
        self._services = services
        self._send = send

    def look(self) -> None:
        """Note what is new for each target, then send what is due."""
        targets = self._services.settings.notify
        if not targets:
            return
        found = self._found()
        for target in targets:
            self._note(target, [notice for notice in found if notice.event in target.on])
        for target in targets:
            self._send_due(target)

    def _found(self) -> list[Notice]:
        tables, now = self._services.tables, self._services.clock.now()
        flags = tables.flags.all()
        storm, since = standing_storm(flags), now - LOOKED_BACK_SECONDS
        found = notices.notices(
            [*tables.restart_history.ended_since(since), *tables.restarts.all_open()],
            tables.quarantine.all(),
            None if storm is None else (storm, flags[STORM][1]),
        )
        # What waits for a person is news for as long as it waits, whenever it was asked for.
        return [one for one in found if one.event is Event.APPROVAL or one.at > since]

    def _note(self, target: Notify, wanted: list[Notice]) -> None:
        table, now = self._services.tables.notices, self._services.clock.now()
        known = table.known(target.name, [notice.key for notice in wanted])
        if known is None:
            table.begin(target.name, {notice.key for notice in wanted}, now)
            return
        for notice in wanted:
            if notice.key not in known:
                values = self._values(notice)
                title, body = rendered(target.title, values), rendered(target.body, values)
                table.add(target.name, notice.key, title, body, now)

    def _values(self, notice: Notice) -> dict[str, str]:
        """Return what a template may name, as text."""
        page = self._services.settings.links.responder or ""
        if page and notice.restart_id:
            page += f"/restarts/{notice.restart_id}"
        elif page and notice.host:
            page += f"/hosts/{notice.host}"
        return {
            "event": notice.event,
            "host": notice.host,
            "agent": notice.agent,
            "outcome": notice.outcome,
            "reason": notice.reason,
            "url": page,
            "at": rfc3339(notice.at),
        }

    def _send_due(self, target: Notify) -> None:
        """Send what is due, until one fails: what is left then waits as long as that one."""
        table, clock = self._services.tables.notices, self._services.clock
        for one in table.due(target.name, clock.now(), MOST_AT_ONCE):
            problem = self._try(target, one)
            if problem is None:
                table.tried(one, None)
                self._count(target.name, "sent")
                log.info("notice sent", extra={"target": target.name, "title": one.title})
                continue
            again = notices.retry_at(one.created_at, one.tries + 1, clock.now())
            table.tried(one, again)
            self._count(target.name, "failed" if again else "given_up")
            about = {"target": target.name, "title": one.title, "reason": problem}
            log.warning("notice not sent", extra=about)
            if again is not None:
                table.postpone(target.name, again)
                return

    def _try(self, target: Notify, one: Unsent) -> str | None:
        """Send a notice; return why it was not, None where it was."""
        try:
            self._send(target.url_file, one.title, one.body, target.timeout)
        except NoticeNotSent as error:
            return str(error)
        except Exception:  # a target's boundary: one that breaks must not hold up the others
            log.exception("notice broke", extra={"target": target.name})
            return "internal error"
        return None

    def _count(self, target: str, result: str) -> None:
        self._services.telemetry.notices.labels(target, result).inc()
