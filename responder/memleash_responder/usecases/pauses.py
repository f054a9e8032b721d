"""Pauses that end by themselves: told once, and forgotten. They ended at their time, not here."""

from __future__ import annotations

import logging

from memleash_responder.core.moments import rfc3339
from memleash_responder.usecases.services import RESUMED, Services

log = logging.getLogger(__name__)


def forget_over(services: Services) -> None:
    """Tell of each pause whose end has come, also while no responder ran, and forget it."""
    memory, now = services.memory, services.clock.now()
    for pause in memory.pauses.all():
        if pause.until is None or pause.holds(now) or not memory.pauses.forget(pause):
            continue
        memory.flags.set(RESUMED, "yes", f"the end of pause {pause.name}", pause.until)
        log.warning(
            "pause ended by itself",
            extra={"pause": pause.name, "by": pause.by, "until": rfc3339(pause.until)},
        )
