"""A request that waits: for how long it may, and what its record says of it.

It waits for what goes away by itself. Nothing is held meanwhile: it is a row, and no workflow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from memleash_responder.core.moments import Stamp
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.policy import Guards
from memleash_responder.core.restarts import WAITING, Restart
from memleash_toolkit.units import format_duration

RECORDED_WAITS = 20
"""The record keeps the last of them: an agent may be busy now and then for half an hour."""


_BOUNDED = frozenset({Outcome.BUSY})
"""What is waited for no longer than ``wait_for_idle``; the rest ends at a time of its own."""


def given_up(restart: Restart, refusal: Refusal, guards: Guards, now: Stamp) -> Refusal | None:
    """Return the refusal that ends a request that may wait no longer; None: it goes on waiting."""
    waited = waited_seconds(restart, now)
    if refusal.outcome not in _BOUNDED or waited < guards.wait_for_idle:
        return None
    after = f"; it was waited for {format_duration(round(waited))}" if waited else ""
    return dataclasses.replace(refusal, reason=refusal.reason + after)


def first_look_seconds(restart: Restart, guards: Guards, now: Stamp) -> float:
    """Return how long after ``now`` a process looks at a request that it finds waiting.

    Its time may be over already: no process ran when it was.
    """
    if restart.waiting_since is None:
        return guards.idle_interval
    left = guards.wait_for_idle - waited_seconds(restart, now)
    return max(0.0, min(guards.idle_interval, left))


def next_look_seconds(restart: Restart, guards: Guards, now: Stamp) -> float:
    """Return how long after a look ``now`` a request that waits on is looked at again."""
    return first_look_seconds(restart, guards, now) or guards.idle_interval


def waited_seconds(restart: Restart, now: Stamp) -> float:
    """Return how long a request has waited, all its waits with a bound."""
    since = restart.waiting_since
    return restart.waited_seconds + (since.age_seconds(now) if since is not None else 0.0)


def waits_on(restart: Restart, refusal: Refusal) -> bool:
    """Whether a request waits for just that already, and its record says so."""
    return restart.step == WAITING and restart.reason == _reason(refusal)


def wait_columns(restart: Restart, refusal: Refusal, now: Stamp) -> dict[str, Any]:
    """Return what changes in the row of a request that begins to wait."""
    return {
        "reason": _reason(refusal),
        "waits_for": refusal.outcome,
        "waiting_since": now if refusal.outcome in _BOUNDED else None,
        "waited_seconds": waited_seconds(restart, now),
    }


def _reason(refusal: Refusal) -> str:
    return f"waits: {refusal.reason}"


def wait_ended_columns(restart: Restart, now: Stamp) -> dict[str, Any]:
    """Return what changes in the row of a request that has waited."""
    return {
        "reason": "",
        "waits_for": None,
        "waiting_since": None,
        "waited_seconds": waited_seconds(restart, now),
    }


def recorded_waits(restart: Restart, refusal: Refusal, now: Stamp) -> list[Mapping[str, Any]]:
    """Return the waits of a request for its record, the one that begins ``now`` as the last.

    An attempt that was begun and released its host is recorded with the steps that it took.
    """
    wait = {"for": refusal.outcome, "reason": refusal.reason, "since": now.at}
    if restart.steps:
        wait["after"] = list(restart.steps)
    return [*restart.facts.get("waits", ()), wait][-RECORDED_WAITS:]
