"""Telling people what was done: found from the database, kept in it, sent, tried again.

A notice is sent at least once. Only a process that dies between sending one and noting it sends
it twice. Nothing waits for a notice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from memleash_responder.core import notices
from memleash_responder.core.moments import rfc3339
from memleash_responder.core.notices import Notice
from memleash_responder.errors import NoticeNotSent
from memleash_responder.notify_settings import Notify, rendered
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.storm_breaker import STORM, standing_storm

LOOK_SECONDS = 2.0
UNTIL_A_RELOAD_SECONDS = 30.0
"""How often it is looked whether anybody is to be told at all."""
LOOKED_BACK_SECONDS = 3600.0
"""What ended longer ago, say while no responder ran, is not told any more."""
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
        targets = {target.name: target for target in self._services.settings.notify}
        if not targets:
            return
        found = self._found()
        for target in targets.values():
            self._note(target, [notice for notice in found if notice.event in target.on])
        self._send_due(targets)

    def _found(self) -> list[Notice]:
        tables, now = self._services.tables, self._services.clock.now()
        flags = tables.flags.all()
        storm = standing_storm(flags)
        restarts = tables.restart_history.ended_since(now - LOOKED_BACK_SECONDS)
        return list(
            notices.notices(
                [*restarts, *tables.restarts.all_open()],
                tables.quarantine.all(),
                None if storm is None else (storm, flags[STORM][1]),
            )
        )

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

    def _send_due(self, targets: dict[str, Notify]) -> None:
        table, clock = self._services.tables.notices, self._services.clock
        failing: set[str] = set()
        for one in table.due(clock.now(), MOST_AT_ONCE):
            target = targets.get(one.target)
            if target is None:  # it was taken out of the configuration
                table.tried(one, None)
                continue
            if one.target in failing:
                continue
            try:
                self._send(target.url_file, one.title, one.body, target.timeout)
            except NoticeNotSent as error:
                failing.add(one.target)
                again = notices.retry_at(one.created_at, one.tries + 1, clock.now())
                table.tried(one, again)
                self._count(one.target, "failed" if again else "given_up")
                log.warning(
                    "notice not sent",
                    extra={"target": one.target, "title": one.title, "reason": str(error)},
                )
            else:
                table.tried(one, None)
                self._count(one.target, "sent")
                log.info("notice sent", extra={"target": one.target, "title": one.title})

    def _count(self, target: str, result: str) -> None:
        self._services.telemetry.notices.labels(target, result).inc()
