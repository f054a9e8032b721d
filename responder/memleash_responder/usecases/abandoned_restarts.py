"""Restarts that were begun and that no engine will finish are ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from memleash_responder.adapters.own_metrics import Part
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.restarts import NOT_BEGUN, Restart
from memleash_responder.usecases.restart_end import finish, lose, release_host
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.unforeseen import try_one

log = logging.getLogger(__name__)

QUIET_SECONDS = 60.0
"""A restart that has looked abandoned for less than this may be between two records."""


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
            for restart in services.tables.restarts.all_open()
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
    current = services.tables.restarts.get(restart.id)
    if current is None or (current.attempt, current.step) != (restart.attempt, restart.step):
        return
    why = f"its workflow was left at step {restart.step}, and no living replica can go on with it"
    if current.command_sent is not None:
        lose(services, current, Refusal(Outcome.COMMAND_FAILED, why))
    else:
        release_host(services, current)
        finish(services, current, Outcome.FACTS_UNAVAILABLE, why, at=(current.step,))
