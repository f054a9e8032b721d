"""How a restart ends: its host is released or lost, and it gets its final word."""

from __future__ import annotations

import logging
from collections.abc import Collection

from memleash_responder.adapters.own_metrics import Part
from memleash_responder.core.outcomes import FAILED, Outcome, Refusal
from memleash_responder.core.restarts import Restart
from memleash_responder.usecases.host_return import undrain
from memleash_responder.usecases.restart_mute import drop_mute
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.unforeseen import try_one

log = logging.getLogger(__name__)


def finish(
    services: Services,
    restart: Restart,
    outcome: Outcome,
    reason: str,
    *,
    at: Collection[str] = (),
) -> None:
    """Give a restart its one final word: it is written, counted and logged with the same word.

    Who comes second changes nothing. With ``at`` only a restart that is at one of these steps ends.
    """
    now = services.clock.now()
    if services.tables.restarts.finish(restart.id, outcome, reason, now, at=at):
        tell(services, restart, outcome, reason)


def tell(services: Services, restart: Restart, outcome: Outcome, reason: str) -> None:
    """Count and log a final word that has just been written."""
    services.telemetry.restarts.labels(restart.agent, outcome).inc()
    log.log(
        logging.ERROR if outcome in FAILED else logging.INFO,
        "restart ended",
        extra={
            "host": restart.host,
            "agent": restart.agent,
            "outcome": outcome,
            "reason": reason,
            "id": restart.id,
        },
    )


def release_host(services: Services, restart: Restart) -> None:
    """Release the host of a restart that sent no command: undrained, as it was, unmuted."""
    if services.tables.hosts.get(restart.host).restart_id == restart.id:
        undrain(services, restart.host, restart.agent, restart.id)
        services.tables.hosts.release(restart.host, restart.id, services.clock.now())
    try_one(services, Part.RENEW_MUTES, restart.host, drop_mute, services, restart)


def lose(services: Services, restart: Restart, refusal: Refusal) -> None:
    """End a restart that sent its command and did not succeed.

    Its host stays held, so it is disconnected as soon as the restart is over, and it is unmuted, so
    that people are paged; the controllers stay drained until the host is reconnected.
    """
    try_one(services, Part.RENEW_MUTES, restart.host, drop_mute, services, restart)
    finish(services, restart, refusal.outcome, refusal.reason)
