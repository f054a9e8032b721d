"""The claim on silence that a restart has for its host."""

from __future__ import annotations

from memleash_responder.core.mutes import Claim, deadline, with_tail
from memleash_responder.core.restarts import Restart
from memleash_responder.usecases.services import Services


def claim_mute(services: Services, restart: Restart, now: float) -> None:
    """Claim silence for the host while this restart goes on; the keeper renews it."""
    until = deadline(services.settings.mute, 0, now)
    reason = f"{restart.agent} is being restarted"
    claim = Claim(f"restart:{restart.id}", now, until, reason)
    services.tables.mutes.change(restart.host, claim.claimant, lambda before: before or claim)
    services.mutes_changed.set()


def drop_mute(services: Services, restart: Restart) -> None:
    """End this restart's claim at once."""
    services.tables.mutes.drop(restart.host, f"restart:{restart.id}")
    services.mutes_changed.set()


def end_mute(services: Services, restart: Restart) -> None:
    """End this restart's claim after the configured tail."""
    now, tail_seconds = services.clock.now(), services.settings.mute.tail
    reason = f"{restart.agent} was restarted"
    services.tables.mutes.change(
        restart.host,
        f"restart:{restart.id}",
        lambda claim: with_tail(claim, tail_seconds, now, reason),
    )
    services.mutes_changed.set()
