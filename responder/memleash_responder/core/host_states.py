"""The machine of a host's state, as data.

            hold                    lose
connected --------> connecting ------------> disconnected
    ^  ^               |                          |
    |  +-- restore ----+                          |
    +------ connect ---+------------ connect -----+
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from memleash_responder.core.outcomes import HostState


class HostEvent(enum.StrEnum):
    """What happens to a host's state."""

    HOLD = "hold"
    """A restart takes the host out of service."""
    RESTORE = "restore"
    """A restart was refused before the command: as if nothing had been."""
    LOSE = "lose"
    """A restart was begun and ended badly."""
    CONNECT = "connect"
    """The controllers took the host back."""


TRANSITIONS: Mapping[tuple[HostState, HostEvent], HostState] = {
    (HostState.CONNECTED, HostEvent.HOLD): HostState.CONNECTING,
    (HostState.CONNECTING, HostEvent.RESTORE): HostState.CONNECTED,
    (HostState.CONNECTING, HostEvent.LOSE): HostState.DISCONNECTED,
    (HostState.CONNECTING, HostEvent.CONNECT): HostState.CONNECTED,
    (HostState.DISCONNECTED, HostEvent.CONNECT): HostState.CONNECTED,
}


def after(state: HostState, event: HostEvent) -> HostState | None:
    """Return the state that ``event`` leads to, or None: it is not allowed and changes nothing."""
    return TRANSITIONS.get((state, event))
