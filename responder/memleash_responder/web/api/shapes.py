"""What the API shows of each thing, as plain JSON: times as RFC 3339, sizes in bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from memleash_responder.core.facts import Unknown
from memleash_responder.core.mutes import Claim
from memleash_responder.core.restarts import Restart
from memleash_responder.usecases.explain import Explanation
from memleash_responder.usecases.fleet import Reading, Row
from memleash_responder.usecases.step_states import progress
from memleash_responder.web.api.parameters import iso

_NOTHING = Reading()


def mute_json(mute: Claim | None) -> dict[str, Any]:
    """Return a host's mute."""
    if mute is None:
        return {"muted": False, "until": None, "reason": None}
    return {"muted": True, "until": iso(mute.until), "reason": mute.reason}


def agent_json(row: Row) -> dict[str, Any]:
    """Return one agent of a host."""
    unknown = isinstance(row.reading, Unknown)
    reading = _NOTHING if isinstance(row.reading, Unknown) else row.reading
    return {
        "mode": row.mode,
        "up": reading.up,
        "started_at": iso(reading.start_time),
        "resident_bytes": reading.resident_bytes,
        "alarm_threshold_bytes": reading.alarm_threshold_bytes,
        "hard_limit_bytes": reading.hard_limit_bytes,
        "busy": reading.busy,
        "ready": reading.ready,
        "seen_at": iso(reading.seen_at),
        "unknown": row.reading.why if unknown else None,  # type: ignore[union-attr]
        "quarantined": row.quarantined,
        "restart": row.restart_id,
        "would_restart": row.refusal is None,
        "verdict": row.refusal.outcome if row.refusal else None,
        "reason": row.refusal.reason if row.refusal else None,
    }


def restart_json(restart: Restart) -> dict[str, Any]:
    """Return a request for a restart and how far it got."""
    shown = dataclasses.asdict(restart)
    sent = shown.pop("command_sent")
    shown["command_sent_at"] = sent["at"] if sent else None
    for name in ("requested_at", "alert_started_at", "command_sent_at", "finished_at"):
        shown[name] = iso(shown[name])
    shown["progress"] = [
        {**dataclasses.asdict(step), "started_at": iso(step.started_at)}
        for step in progress(restart)
    ]
    return shown


def explanation_json(host: str, agent: str, told: Explanation) -> dict[str, Any]:
    """Return every guard's word and the facts behind it."""
    return {
        "host": host,
        "agent": agent,
        "would_restart": told.refusal is None,
        "verdict": told.refusal.outcome if told.refusal else None,
        "reason": told.refusal.reason if told.refusal else None,
        "guards": [
            {
                "guard": one.guard,
                "passes": one.refusal is None,
                "verdict": one.refusal.outcome if one.refusal else None,
                "reason": one.refusal.reason if one.refusal else None,
            }
            for one in told.verdicts
        ],
        "facts": told.facts,
    }


def alert_json(alert: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a recorded alert."""
    shown = dict(alert)
    for name in ("starts_at", "first_received_at", "last_received_at"):
        shown[name] = iso(shown[name])
    return shown


def page_json(name: str, found: list[Any], limit: int, offset: int) -> dict[str, Any]:
    """Return one page of a list, of which one more than ``limit`` was looked for."""
    more = len(found) > limit
    return {name: found[:limit], "next_offset": offset + limit if more else None}
