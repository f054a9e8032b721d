"""What a restart takes from a host while it goes on, and how all of it is given back."""

from __future__ import annotations

import logging

from memleash_responder.adapters.telemetry import Part
from memleash_responder.core.facts import Host
from memleash_responder.core.host_states import HostEvent
from memleash_responder.core.mutes import Claim, deadline, with_tail
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.restarts import Restart
from memleash_responder.usecases.boundary import try_one
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)


def conclude(services: Services, restart: Restart, refusal: Refusal | None, *, begun: bool) -> None:
    """Give the request its final word, and the host what it is owed.

    A request that has its word already is left alone: a later one may hold the host by now.
    Refused (not ``begun``): undrain, the old state, unmuted. Failed: disconnected and unmuted,
    so that people are paged; the controllers stay drained until the host is taken back.
    """
    if restart.outcome is not None:
        return
    now = services.clock.now()
    if refusal is not None:
        if begun:
            services.memory.hosts.change(restart.host, HostEvent.LOSE, restart.id, now)
        elif services.memory.hosts.get(restart.host).restart_id == restart.id:
            undrain(services, restart.host, restart.agent)
            services.memory.hosts.change(restart.host, HostEvent.RESTORE, restart.id, now)
        try_one(services, Part.RENEW_MUTES, restart.host, drop_mute, services, restart)
    outcome = refusal.outcome if refusal else Outcome.RESTARTED
    reason = refusal.reason if refusal else "a new process is ready and the host is connected"
    if services.memory.restarts.finish(restart.id, outcome, reason, now):
        services.telemetry.restarts.labels(restart.agent, outcome).inc()
        log.log(
            logging.ERROR if begun and refusal else logging.INFO,
            "restart concluded",
            extra={
                "host": restart.host,
                "agent": restart.agent,
                "outcome": outcome,
                "reason": reason,
                "id": restart.id,
            },
        )


def undrain(services: Services, host_name: str, agent: str) -> bool:
    """Undrain a host if it is owed; a failure stays owed, and recovery tries again.

    A restart that began to hold the host meanwhile gets its drain back. A host that left the
    inventory meanwhile is owed it all the same: controllers are told names alone.
    """
    record = services.memory.hosts.get(host_name)
    if not record.drained:
        return True
    host = services.outside.inventory.get(host_name) or Host(host_name, "", "", {})
    return try_one(
        services, Part.UNDRAIN, host_name, _undrain, services, host, agent, record.restart_id
    )


def _undrain(services: Services, host: Host, agent: str, restart_id: str | None) -> None:
    controllers = services.outside.controllers
    controllers.undrain(host, agent)
    if not services.memory.hosts.undrained(host.name, restart_id):
        controllers.drain(host, agent)


def claim_mute(services: Services, restart: Restart, now: float) -> None:
    """Claim silence for the host while this restart goes on; the keeper renews it."""
    until = deadline(services.settings.mute, 0, now)
    reason = f"{restart.agent} is being restarted"
    claim = Claim(f"restart:{restart.id}", now, until, reason)
    services.memory.mutes.change(restart.host, claim.claimant, lambda before: before or claim)
    services.mutes_changed.set()


def drop_mute(services: Services, restart: Restart) -> None:
    """End this restart's claim at once."""
    services.memory.mutes.drop(restart.host, f"restart:{restart.id}")
    services.mutes_changed.set()


def end_mute(services: Services, restart: Restart) -> None:
    """End this restart's claim after the configured tail."""
    now, tail_seconds = services.clock.now(), services.settings.mute.tail
    reason = f"{restart.agent} was restarted"
    services.memory.mutes.change(
        restart.host,
        f"restart:{restart.id}",
        lambda claim: with_tail(claim, tail_seconds, now, reason),
    )
    services.mutes_changed.set()
