"""How a restart ends: what it took from its host is given back, and it gets its final word."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from memleash_responder.adapters.telemetry import Part
from memleash_responder.core.facts import Host
from memleash_responder.core.mutes import Claim, deadline, with_tail
from memleash_responder.core.outcomes import FAILED, Outcome, Refusal
from memleash_responder.core.restarts import NOT_BEGUN, Restart
from memleash_responder.settings import libvirtd_choices
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.unforeseen import try_one

log = logging.getLogger(__name__)

QUIET_SECONDS = 60.0
"""A restart that has looked abandoned for less than this may be between two records."""


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
    if services.memory.restarts.finish(restart.id, outcome, reason, now, at=at):
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


def give_back(services: Services, restart: Restart) -> None:
    """Give a host what a restart that sent no command took: undrained, as it was, unmuted."""
    if services.memory.hosts.get(restart.host).restart_id == restart.id:
        undrain(services, restart.host, restart.agent, restart.id)
        services.memory.hosts.give_back(restart.host, restart.id, services.clock.now())
    try_one(services, Part.RENEW_MUTES, restart.host, drop_mute, services, restart)


def lose(services: Services, restart: Restart, refusal: Refusal) -> None:
    """End a restart that sent its command and did not succeed.

    Its host stays held, so it is disconnected as soon as the restart is over, and it is unmuted, so
    that people are paged; the controllers stay drained until the host is taken back.
    """
    try_one(services, Part.RENEW_MUTES, restart.host, drop_mute, services, restart)
    finish(services, restart, refusal.outcome, refusal.reason)


class AbandonedRestarts:
    """Ends what was begun and what no engine will finish.

    The record of its workflow is gone, it ended in an error of the engine, or it waits for a
    version of the steps that no living replica runs, as after an upgrade. It is never carried on by
    guess.
    """

    def __init__(
        self,
        services: Services,
        abandoned: Callable[[Collection[str]], set[str]],
        cancel: Callable[[str], None],
    ) -> None:
        """``abandoned`` says which workflows are; ``cancel`` keeps one from going on."""
        self._services = services
        self._abandoned = abandoned
        self._cancel = cancel
        self._since: dict[tuple[str, str], float] = {}
        """By attempt and step, the uptime in seconds at which it was first seen so."""

    def end(self) -> None:
        """End each that has been abandoned at the same step for a while."""
        services = self._services
        begun = {
            restart.attempt_id: restart
            for restart in services.memory.restarts.all_open()
            if restart.step not in NOT_BEGUN
        }
        abandoned = [begun[one] for one in self._abandoned(list(begun))] if begun else []
        uptime = services.clock.stamp().uptime_seconds
        keys = {(one.attempt_id, one.step): one for one in abandoned}
        self._since = {key: self._since.get(key, uptime) for key in keys}
        for key, restart in keys.items():
            if uptime - self._since[key] >= QUIET_SECONDS:
                log.warning("abandoned restart", extra={"id": restart.id, "step": restart.step})
                try_one(services, Part.SWEEP, restart.id, self._cancel, restart.attempt_id)
                try_one(services, Part.SWEEP, restart.id, _end_abandoned, services, restart)


def _end_abandoned(services: Services, restart: Restart) -> None:
    current = services.memory.restarts.get(restart.id)
    if current is None or (current.attempt, current.step) != (restart.attempt, restart.step):
        return
    why = f"its workflow was left at step {restart.step}, and no living replica can go on with it"
    if current.command_sent is not None:
        lose(services, current, Refusal(Outcome.COMMAND_FAILED, why))
    else:
        give_back(services, current)
        finish(services, current, Outcome.FACTS_UNAVAILABLE, why, at=(current.step,))


def take_back(services: Services, host: Host, agent: str) -> None:
    """Have the controllers take ``host`` back, and wait for it. Raises ReconnectFailed."""
    settings = services.settings
    choices = libvirtd_choices(settings, host, agent)
    services.outside.controllers.reconnect(
        host,
        agent,
        timeout_seconds=settings.agents[agent].reconnect_timeout,
        restart_libvirtd={name for name, choice in choices.items() if choice.restart_libvirtd},
    )


def undrain(services: Services, host_name: str, agent: str, restart_id: str | None) -> bool:
    """Give the undrain that a restart owes; a failure stays owed, and recovery tries again.

    What another restart holds by now is left alone: a step that is run again after a crash would
    let new work onto the host of the next. A restart that begins to hold the host meanwhile gets
    its drain back. A host that left the inventory meanwhile is owed it all the same: controllers
    are told names alone.
    """
    record = services.memory.hosts.get(host_name)
    if not record.drained or record.restart_id != restart_id:
        return True
    host = services.outside.inventory.get(host_name) or Host(host_name, "", "", {})
    return try_one(services, Part.UNDRAIN, host_name, _undrain, services, host, agent, restart_id)


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
