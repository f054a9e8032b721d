"""Requests that nothing works on any more still get their final word.

A request is an orphan when it is past its admission and no engine will finish its workflow:
the record is gone, it ended in an error of the engine, or it waits for a version of the steps
that no living replica runs, as after an upgrade. It is never carried on by guess.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from memleash_responder.adapters.telemetry import Part
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.restarts import AWAITING_APPROVAL, REQUESTED, Restart
from memleash_responder.usecases.boundary import try_one
from memleash_responder.usecases.restart_end import conclude
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

QUIET_SECONDS = 60.0
"""A request younger than this may be between two records, and is left alone."""


def end_orphans(
    services: Services,
    abandoned: Callable[[Collection[str]], set[str]],
    cancel: Callable[[str], None],
) -> None:
    """Conclude every open request whose workflow is ``abandoned``, and ``cancel`` the latter."""
    before = services.clock.now() - QUIET_SECONDS
    waiting = {
        restart.id: restart
        for restart in services.memory.restarts.all_open()
        if restart.step not in (REQUESTED, AWAITING_APPROVAL) and restart.requested_at < before
    }
    if not waiting:
        return
    for restart_id in abandoned(list(waiting)):
        restart = waiting[restart_id]
        log.warning("orphaned request", extra={"id": restart_id, "step": restart.step})
        try_one(services, Part.SWEEP, restart_id, cancel, restart_id)
        try_one(services, Part.SWEEP, restart_id, _end, services, restart)


def _end(services: Services, restart: Restart) -> None:
    conclude(services, restart, _word(restart), begun=restart.command_sent is not None)


def _word(restart: Restart) -> Refusal:
    why = f"its workflow was left at step {restart.step}, and no living replica can go on with it"
    if restart.command_sent is not None:
        return Refusal(Outcome.COMMAND_FAILED, why)
    return Refusal(Outcome.FACTS_UNAVAILABLE, why)
