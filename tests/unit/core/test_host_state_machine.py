"""The states of a host: every pair of state and event, allowed or not."""

from __future__ import annotations

import pytest

from memleash_responder.core.host_states import HostEvent, after
from memleash_responder.core.outcomes import HostState

CONNECTED, CONNECTING, DISCONNECTED, MAINTENANCE = HostState
ALLOWED = {
    (CONNECTED, HostEvent.HOLD): CONNECTING,
    (CONNECTING, HostEvent.RESTORE): CONNECTED,
    (CONNECTING, HostEvent.LOSE): DISCONNECTED,
    (CONNECTING, HostEvent.CONNECT): CONNECTED,
    (DISCONNECTED, HostEvent.CONNECT): CONNECTED,
}


@pytest.mark.parametrize("event", HostEvent)
@pytest.mark.parametrize("state", HostState)
def test_a_host_goes_only_where_the_drawing_says(state: HostState, event: HostEvent) -> None:
    assert after(state, event) is ALLOWED.get((state, event))


def test_a_refusal_restores_only_a_host_that_is_still_connecting() -> None:
    assert after(DISCONNECTED, HostEvent.RESTORE) is None
    assert after(CONNECTED, HostEvent.RESTORE) is None


def test_a_failed_reconnect_does_not_roll_back_to_connected() -> None:
    assert after(CONNECTING, HostEvent.LOSE) is DISCONNECTED


def test_every_state_but_connected_leads_back_to_connected() -> None:
    for state in HostState:
        if state in (CONNECTING, DISCONNECTED):
            assert CONNECTED in {after(state, event) for event in HostEvent}
