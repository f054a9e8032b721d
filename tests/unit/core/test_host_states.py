"""A host's state: who has a word in it, and whose counts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from memleash_responder.core.facts import Unknown
from memleash_responder.core.host_states import (
    ControllerState,
    HostFacts,
    HostState,
    by_restarts,
    standing,
)
from memleash_responder.core.maintenance import Maintenance

CONNECTED, CONNECTING, DISCONNECTED, MAINTENANCE = HostState
WELL = HostFacts(
    CONNECTED,
    changed_at=10.0,
    problem="",
    labelled=False,
    maintenance=None,
    controllers=(),
    pings_fail=False,
    pings_fail_since=20.0,
)
"""It was released at 10."""
SILENT = Unknown("no answer")


@pytest.mark.parametrize(
    ("is_held", "holder_is_open", "state"),
    [
        (False, False, CONNECTED),
        (False, True, CONNECTED),  # it waits, or is at its very end
        (True, True, CONNECTING),
        (True, False, DISCONNECTED),
    ],
)
def test_a_held_host_is_connecting_until_its_restart_is_over(
    is_held: bool, holder_is_open: bool, state: HostState
) -> None:
    assert by_restarts(is_held=is_held, holder_is_open=holder_is_open) is state


def says(*states: HostState | Unknown) -> dict[str, Any]:
    """Return what each controller says; the first has said it since 100, the next since 200."""
    said = (ControllerState(f"mn-{n}", one, n * 100.0) for n, one in enumerate(states, 1))
    return {"controllers": tuple(said)}


@pytest.mark.parametrize(
    ("facts", "state", "reason", "since"),
    [
        ({}, CONNECTED, "", None),
        (says(CONNECTED, CONNECTED), CONNECTED, "", None),
        (says(SILENT), CONNECTED, "", None),
        ({"pings_fail": SILENT}, CONNECTED, "", None),
        ({"pings_fail": True}, DISCONNECTED, "its pings fail: their alert fires, unmuted", 20),
        (says(CONNECTED, CONNECTING), CONNECTING, "mn-2 says connecting", 200),
        (says(CONNECTING, DISCONNECTED), DISCONNECTED, "mn-2 says disconnected", 200),
        ({"by_restarts": CONNECTING, "pings_fail": True}, CONNECTING, "a restart holds it", 10),
        ({"by_restarts": CONNECTING, **says(DISCONNECTED)}, CONNECTING, "a restart holds it", 10),
        ({"by_restarts": DISCONNECTED}, DISCONNECTED, "a restart ended badly", 10),
        (
            {"by_restarts": DISCONNECTED, "problem": "the agent is silent"},
            DISCONNECTED,
            "a restart ended badly; the agent is silent",
            10,
        ),
        (
            {"by_restarts": DISCONNECTED, **says(MAINTENANCE)},
            MAINTENANCE,
            "mn-1 says maintenance",
            100,
        ),
        (
            {"maintenance": Maintenance("ann", "new disks", 5.0, None), **says(DISCONNECTED)},
            MAINTENANCE,
            "ann: new disks",
            5,
        ),
        (
            {"labelled": True, "by_restarts": CONNECTING},
            MAINTENANCE,
            "the inventory's label says maintenance",
            None,
        ),
    ],
)
def test_the_first_that_has_a_word_gives_the_state_its_reason_and_since_when(
    facts: dict[str, Any], state: HostState, reason: str, since: float | None
) -> None:
    found = standing(dataclasses.replace(WELL, **facts))
    assert (found.state, found.reason, found.since) == (state, reason, since)
