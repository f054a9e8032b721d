"""A host's state: a pure function of who holds it, what people and controllers say, its pings.

A restart holds its host from its step hold on, until it is released, or reconnected after a loss:

            hold                   the restart ends
connected --------> connecting ----------------------> disconnected
    ^                   |                                   |
    +----- released ----+----------- reconnected -----------+
"""

from __future__ import annotations

import dataclasses
import enum

from memleash_responder.core.facts import Unknown
from memleash_responder.core.maintenance import Maintenance


class HostState(enum.StrEnum):
    """Whether the controllers and people count on a host. A restart wants connected."""

    CONNECTED = "connected"
    """In service."""
    CONNECTING = "connecting"
    """A restart holds it; no new work may begin."""
    DISCONNECTED = "disconnected"
    """A restart ended badly; reconnected once the agent is ready and the controllers agree."""
    MAINTENANCE = "maintenance"
    """Out of service by a person's word: not pinged, not restarted, not diagnosed."""


def by_restarts(*, is_held: bool, holder_is_open: bool) -> HostState:
    """Return what the responder's own restarts made of a host.

    One that is held by a restart that is over, or not in the record any more, was never released.
    """
    if not is_held:
        return HostState.CONNECTED
    return HostState.CONNECTING if holder_is_open else HostState.DISCONNECTED


@dataclasses.dataclass(frozen=True, slots=True)
class ControllerState:
    """What one controller, which knows the host, calls it."""

    controller: str
    state: HostState | Unknown
    since: float | None = None
    """When it was first heard to say so, unix time; None: it was asked just now."""


@dataclasses.dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host's state follows from. None has a default."""

    by_restarts: HostState
    """What the responder's own restarts made of it."""
    changed_at: float | None
    """When they did, unix time; None while it is connected as far as they go."""
    problem: str
    """Why a host that a restart lost is not back yet; empty where nobody knows."""
    labelled: bool
    """Whether the inventory's label says maintenance."""
    maintenance: Maintenance | None
    """A person's, while it is in force."""
    controllers: tuple[ControllerState, ...]
    pings_fail: bool | Unknown
    """Whether an alert about its pings fires that no mute of ours holds back."""
    pings_fail_since: float | None
    """When they were first seen to fail, unix time; None: Prometheus was asked just now."""


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """A host's state, and why; connected needs no reason."""

    state: HostState
    reason: str = ""
    since: float | None = None
    """When what gives the state began, unix time; None where nobody knows."""


def standing(facts: HostFacts) -> Standing:
    """Return a host's state by all that is known; who is silent says nothing.

    Maintenance comes first: a person who works on the host need not care what else is wrong.
    """
    if facts.labelled:
        return Standing(HostState.MAINTENANCE, "the inventory's label says maintenance")
    if facts.maintenance is not None:
        since = facts.maintenance.since
        return Standing(HostState.MAINTENANCE, str(facts.maintenance), since)
    said = {one.state: one for one in facts.controllers if not isinstance(one.state, Unknown)}
    if HostState.MAINTENANCE in said:
        return _as_said(HostState.MAINTENANCE, said[HostState.MAINTENANCE])
    if facts.by_restarts is HostState.CONNECTING:
        return Standing(HostState.CONNECTING, "a restart holds it", facts.changed_at)
    if facts.by_restarts is HostState.DISCONNECTED:
        problem = f"; {facts.problem}" if facts.problem else ""
        reason = f"a restart ended badly{problem}"
        return Standing(HostState.DISCONNECTED, reason, facts.changed_at)
    for state in (HostState.DISCONNECTED, HostState.CONNECTING):
        if state in said:
            return _as_said(state, said[state])
    if facts.pings_fail is True:
        reason = "its pings fail: their alert fires, unmuted"
        return Standing(HostState.DISCONNECTED, reason, facts.pings_fail_since)
    return Standing(HostState.CONNECTED)


def _as_said(state: HostState, said: ControllerState) -> Standing:
    return Standing(state, f"{said.controller} says {state}", said.since)
