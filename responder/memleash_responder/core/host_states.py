"""A host's state: a pure function of who holds it, what people and controllers say, its pings.

A restart holds its host from its step hold on, until it or the controllers give it back:

            hold                   the restart ends
connected --------> connecting ----------------------> disconnected
    ^                   |                                   |
    +---- given back ---+------------ given back -----------+
"""

from __future__ import annotations

import dataclasses

from memleash_responder.core.facts import Unknown
from memleash_responder.core.maintenance import Maintenance
from memleash_responder.core.outcomes import HostState


def by_restarts(*, is_held: bool, holder_is_open: bool) -> HostState:
    """Return what the responder's own restarts made of a host.

    One that is held by a restart that is over, or not in the record any more, was not given back.
    """
    if not is_held:
        return HostState.CONNECTED
    return HostState.CONNECTING if holder_is_open else HostState.DISCONNECTED


@dataclasses.dataclass(frozen=True, slots=True)
class ControllerState:
    """What one controller, which knows the host, calls it."""

    controller: str
    state: HostState | Unknown


@dataclasses.dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host's state follows from. None has a default."""

    by_restarts: HostState
    """What the responder's own restarts made of it."""
    problem: str
    """Why a host that a restart lost is not back yet; empty where nobody knows."""
    labelled: bool
    """Whether the inventory's label says maintenance."""
    maintenance: Maintenance | None
    """A person's, while it is in force."""
    controllers: tuple[ControllerState, ...]
    pings_fail: bool | Unknown
    """Whether an alert about its pings fires that no mute of ours holds back."""


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """A host's state, and why; connected needs no reason."""

    state: HostState
    reason: str = ""


def standing(facts: HostFacts) -> Standing:
    """Return a host's state by all that is known; who is silent says nothing.

    Maintenance comes first: a person who works on the host need not care what else is wrong.
    """
    if facts.labelled:
        return Standing(HostState.MAINTENANCE, "the inventory's label says maintenance")
    if facts.maintenance is not None:
        return Standing(HostState.MAINTENANCE, str(facts.maintenance))
    told = {one.state: one.controller for one in facts.controllers if _is_known(one)}
    if HostState.MAINTENANCE in told:
        return Standing(HostState.MAINTENANCE, f"{told[HostState.MAINTENANCE]} says maintenance")
    if facts.by_restarts is HostState.CONNECTING:
        return Standing(HostState.CONNECTING, "a restart holds it")
    if facts.by_restarts is HostState.DISCONNECTED:
        problem = f"; {facts.problem}" if facts.problem else ""
        return Standing(HostState.DISCONNECTED, f"a restart ended badly{problem}")
    for state in (HostState.DISCONNECTED, HostState.CONNECTING):
        if state in told:
            return Standing(state, f"{told[state]} says {state}")
    if facts.pings_fail is True:
        return Standing(HostState.DISCONNECTED, "its pings fail: their alert fires, unmuted")
    return Standing(HostState.CONNECTED)


def _is_known(told: ControllerState) -> bool:
    return not isinstance(told.state, Unknown)
