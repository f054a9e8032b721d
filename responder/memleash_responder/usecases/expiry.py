"""Pauses and maintenances that end by themselves: logged once, at their end, and forgotten."""

from __future__ import annotations

import logging

from memleash_responder.core.moments import rfc3339
from memleash_responder.usecases.services import RESUMED, Services

log = logging.getLogger(__name__)


def forget_over(services: Services) -> None:
    """Forget what is over, also what ended while no responder ran.

    1. pauses: the end is the last change of the switch; 2. maintenances: mutes follow.
    """
    tables, now = services.tables, services.clock.now()
    for pause in tables.pauses.all():
        if pause.until is None or pause.holds(now) or not tables.pauses.forget(pause):
            continue
        tables.flags.set(RESUMED, "yes", f"the end of pause {pause.name}", pause.until)
        log.warning(
            "pause ended by itself",
            extra={"pause": pause.name, "by": pause.by, "until": rfc3339(pause.until)},
        )
    for host, one in tables.maintenance.all().items():
        if one.until is None or one.holds(now) or not tables.maintenance.forget(host, one):
            continue
        services.mutes_changed.set()
        log.info(
            "maintenance ended by itself",
            extra={"host": host, "by": one.by, "until": rfc3339(one.until)},
        )
