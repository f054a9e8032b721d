"""Where an unforeseen error ends: one bad item never stops the others, and each has its word."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from memleash_responder.adapters.own_metrics import Part
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.errors import DatabaseUnavailable, ResponderError
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

T = TypeVar("T")


def try_one(
    services: Services, part: Part, about: str, work: Callable[..., object], *args: object
) -> bool:
    """Do ``work`` for one of many and return whether it went well; a failure is logged, counted.

    Raises DatabaseUnavailable: without the database nothing can be done for the others either.
    """
    try:
        work(*args)
    except DatabaseUnavailable:
        raise
    except Exception as error:  # the boundary of one item
        services.telemetry.failures.labels(part).inc()
        log.warning(
            "work failed",
            extra={"part": part, "about": about, "reason": str(error)},
            exc_info=not isinstance(error, ResponderError),
        )
        return False
    return True


def patiently(services: Services, work: Callable[..., T], *args: object) -> T:
    """Do ``work``; while the database is gone, wait and do it again: it looks before it acts."""
    while True:
        try:
            return work(*args)
        except DatabaseUnavailable as error:
            services.telemetry.failures.labels(Part.DATABASE).inc()
            log.warning("waiting for the database", extra={"reason": str(error)})
            services.sleep(1)


def unforeseen(error: Exception, *, begun: bool = False) -> Refusal:
    """Return the word for a request whose step raised what none of the words is made for."""
    outcome = Outcome.COMMAND_FAILED if begun else Outcome.FACTS_UNAVAILABLE
    return Refusal(outcome, f"an unexpected error, see the log: {type(error).__name__}: {error}")
