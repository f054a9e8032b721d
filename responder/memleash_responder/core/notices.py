"""Notices for people: what happened that they want to hear of, each once.

What there is to say follows from what the database has now, so that no part of the responder has
to remember to say it, and nothing is lost when the process dies.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Collection, Iterator, Mapping

from memleash_responder.core.outcomes import FAILED, Outcome
from memleash_responder.core.restarts import AWAITING_APPROVAL, Restart


class Event(enum.StrEnum):
    """What a notice may be about."""

    RESTARTED = "restarted"
    """A restart ended well."""
    FAILED = "failed"
    """A restart was begun and did not end well."""
    REFUSED = "refused"
    """A restart was refused, each reason once for an alert."""
    APPROVAL = "approval"
    """A restart waits for a person."""
    QUARANTINED = "quarantined"
    """An agent is restarted no more until a person says so."""
    STORM = "storm"
    """The storm breaker has opened."""


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell people. ``key`` is the same whenever the same thing is to be said."""

    key: str
    event: Event
    at: float
    """When it happened, unix seconds."""
    reason: str
    host: str = ""
    agent: str = ""
    outcome: str = ""
    restart_id: str = ""


_SAID_OTHERWISE = frozenset({Outcome.QUARANTINED, Outcome.STORM, Outcome.OBSERVE_MODE})
"""Refusals that have a notice of their own, or that a mode means."""
_NO_LONGER_NEEDED = frozenset(
    {Outcome.RESOLVED, Outcome.BELOW_HARD_LIMIT, Outcome.ALREADY_RESTARTED, Outcome.DENIED}
)


def notices(
    restarts: Collection[Restart],
    quarantined: Mapping[tuple[str, str], tuple[float, str]],
    storm: tuple[str, float] | None,
) -> Iterator[Notice]:
    """Yield what there is to say.

    ``restarts`` are open requests and those that ended lately, ``quarantined`` is (since, reason)
    by (host, agent), and ``storm`` why the breaker is open and since when.
    """
    for one in restarts:
        notice = _of_restart(one)
        if notice is not None:
            yield notice
    for (host, agent), (since, reason) in quarantined.items():
        key = f"{Event.QUARANTINED}:{host}:{agent}:{since}"
        yield Notice(key, Event.QUARANTINED, since, reason, host, agent)
    if storm is not None:
        reason, since = storm
        yield Notice(f"{Event.STORM}:{since}", Event.STORM, since, reason)


def _of_restart(one: Restart) -> Notice | None:
    event, at = _event_of(one), one.finished_at or one.requested_at
    if event is None:
        return None
    key = f"{event}:{one.id}"
    if event is Event.REFUSED and one.fingerprint is not None:
        # An alert that stays asks again every few minutes, with a request of its own each time.
        key = f"{event}:{one.fingerprint}:{one.alert_started_at}:{one.outcome}"
    return Notice(key, event, at, one.reason, one.host, one.agent, one.outcome or "", one.id)


def _event_of(one: Restart) -> Event | None:
    if one.outcome is None:
        return Event.APPROVAL if one.step == AWAITING_APPROVAL else None
    if one.outcome is Outcome.RESTARTED:
        return Event.RESTARTED
    if one.outcome in FAILED:
        return Event.FAILED
    if one.outcome in _SAID_OTHERWISE | _NO_LONGER_NEEDED:
        return None
    return Event.REFUSED


FIRST_RETRY_SECONDS = 30.0
LONGEST_RETRY_SECONDS = 3600.0
GIVEN_UP_SECONDS = 86400.0
"""A notice that nobody took for so long is old news."""


def retry_at(created_at: float, tries: int, now: float) -> float | None:
    """Return when a notice that failed ``tries`` times is sent again; None: no more."""
    if now - created_at >= GIVEN_UP_SECONDS:
        return None
    return now + min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(tries - 1, 20))
