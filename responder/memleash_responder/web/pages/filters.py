"""How the pages say things: sizes, times, outcomes, and the little bar of an agent's memory."""

from __future__ import annotations

import dataclasses

from memleash_responder.core.facts import Unknown
from memleash_responder.core.moments import as_datetime
from memleash_responder.core.outcomes import FAILED, Outcome
from memleash_responder.core.restarts import AWAITING_APPROVAL, QUEUED, REQUESTED, WAITING, Restart
from memleash_responder.core.steps import Step
from memleash_responder.usecases.readings import Reading
from memleash_toolkit.units import format_duration, format_size

_ROOM = 1.25
"""The bar ends at this many hard limits, so that there is room to be over."""
_BAR_WIDTH = 100.0

_STANDING: dict[str, str] = {
    REQUESTED: "being looked at",
    AWAITING_APPROVAL: "waits for a person",
    WAITING: "waits for what goes away by itself",
    QUEUED: "queued",
    Step.ADMIT: "looking whether it may be restarted",
    Step.HOLD: "taking the host out of service",
    Step.VERIFY: "looking whether it is idle and without tasks",
    Step.DIAGNOSE: "taking evidence",
    Step.RESTART: "running the restart command",
    Step.READY: "waiting for the new process to answer",
    Step.RECONNECT: "waiting for the controllers to take the host back",
    Step.RELEASE: "releasing the host",
}

_PASSES = {
    "resolved": "asked for still",
    "denied": "not denied",
    "paused": "not paused",
    "observe_mode": "the mode allows restarts",
    "quarantined": "not in quarantine",
    "maintenance": "not in maintenance",
    "host_not_connected": "the host is connected",
    "state_unknown": "every controller says the host's state",
    "pings_unknown": "its pings can be told",
    "storm": "no storm",
    "outside_window": "may begin now",
    "cooldown": "cooldown is over",
    "restart_budget": "within the restart budget",
    "facts_unavailable": "all facts are at hand",
    "already_restarted": "still the same process",
    "below_hard_limit": "over the hard limit, or wanted anyway",
    "startup_grace": "startup grace is over",
    "readiness_unknown": "readiness can be proven",
    "alerts_firing": "no alert is in the way",
    "awaiting_approval": "needs no approval",
    "busy": "idle",
    "controller_unreachable": "every controller answers",
    "tasks_running": "no task is running",
}
"""What is so when a guard passes; a tick beside "paused" would say the opposite."""


def passes(guard: str) -> str:
    """Return what a guard that passes has found."""
    return _PASSES.get(guard, guard.replace("_", " "))


def size(value: int | None) -> str:
    """Return bytes for people."""
    return "unknown" if value is None else format_size(value)


def ago(seconds: float) -> str:
    """Return an age in its two largest units: ``3m 20s``."""
    return _two_units(max(0.0, seconds))


def clock(unix_seconds: float | None) -> str:
    """Return a moment as people write it, in UTC."""
    if unix_seconds is None:
        return "never"
    return f"{as_datetime(unix_seconds):%Y-%m-%d %H:%M:%S} UTC"


def time_of_day(unix_seconds: float) -> str:
    """Return a moment's hours, minutes and seconds in UTC."""
    return f"{as_datetime(unix_seconds):%H:%M:%S}"


def machine_time(unix_seconds: float) -> str:
    """Return a moment for a ``time`` element."""
    return f"{as_datetime(unix_seconds):%Y-%m-%dT%H:%M:%SZ}"


def _two_units(seconds: float) -> str:
    whole = int(seconds)
    if whole < 1:
        return "0s"
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return format_duration(days * 86400 + hours * 3600)
    if hours:
        return format_duration(hours * 3600 + minutes * 60)
    return format_duration(minutes * 60 + left)


def tone(outcome: Outcome | None) -> str:
    """Return how a word is coloured: good, bad, warn or plain. The word itself says it all."""
    if outcome is Outcome.RESTARTED:
        return "good"
    if outcome in FAILED:
        return "bad"
    return "plain" if outcome is not None else "live"


def standing(restart: Restart) -> str:
    """Return where an open request stands."""
    return _STANDING.get(restart.step, restart.step)


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """Limited memory against both limits, in hundredths of the bar."""

    filled: float
    threshold: float | None
    limit: float | None
    tone: str
    """good, warn (above the threshold), bad (above the limit)."""
    says: str


def bar(reading: Reading | Unknown) -> Bar | None:
    """Return the bar of an agent, None when its memory or its limits are not known."""
    if isinstance(reading, Unknown) or reading.limited_bytes is None:
        return None
    held, limit = reading.limited_bytes, reading.hard_limit_bytes or 0
    threshold = reading.alarm_threshold_bytes or 0
    full = max(limit * _ROOM, threshold * _ROOM, float(held), 1.0)

    def share(value: int) -> float:
        return round(_BAR_WIDTH * value / full, 1)

    over_limit = bool(limit) and held > limit
    over_threshold = bool(threshold) and held > threshold
    return Bar(
        filled=share(held),
        threshold=share(threshold) if threshold else None,
        limit=share(limit) if limit else None,
        tone="bad" if over_limit else "warn" if over_threshold else "good",
        says=f"{format_size(held)} of {format_size(limit) if limit else 'no limit'}",
    )
