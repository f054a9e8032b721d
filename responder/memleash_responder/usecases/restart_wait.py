"""Putting a restart to wait, and giving up."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from memleash_responder.core.outcomes import WAITED_FOR, Refusal
from memleash_responder.core.restarts import WAITING, Restart
from memleash_responder.core.waiting import given_up, recorded_waits, wait_columns, waits_on
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)


def ends_with(services: Services, restart: Restart, refusal: Refusal) -> Refusal | None:
    """Return the refusal that a request ends with; None when it may wait instead."""
    agent = services.settings.agents.get(restart.agent)
    if agent is None or refusal.outcome not in WAITED_FOR:
        return refusal
    return given_up(restart, refusal, agent.guards, services.clock.stamp())


def wait(
    services: Services,
    restart: Restart,
    refusal: Refusal,
    facts: Mapping[str, Any],
    *,
    at: Collection[str],
    begun: bool = False,
) -> bool:
    """Put an open request to wait for what ``refusal`` says; False: it is not ``at`` these steps.

    With ``begun`` its attempt is over: the next one has another number, and the record keeps the
    steps of this one.
    """
    if waits_on(restart, refusal):
        return True
    now = services.clock.stamp()
    next_attempt = {"attempt": restart.attempt + 1, "steps": []} if begun else {}
    noted = services.tables.restarts.move(
        restart,
        {**facts, "waits": recorded_waits(restart, refusal, now)},
        to=WAITING,
        at=at,
        columns={**wait_columns(restart, refusal, now), **next_attempt},
    )
    if noted:
        log.info(
            "restart waits",
            extra={
                "host": restart.host,
                "agent": restart.agent,
                "for": refusal.outcome,
                "reason": refusal.reason,
                "id": restart.id,
            },
        )
    return noted
