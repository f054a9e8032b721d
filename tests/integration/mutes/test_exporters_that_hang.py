"""Exporters that accept and never answer hold up no look at a host that answers."""

from __future__ import annotations

import pytest

from demo.stack.processes import wait_until
from tests.integration.mutes.nodes import GIB
from tests.integration.mutes.site import Site
from tests.support.stacks import ONE_AGE

pytestmark = [pytest.mark.integration, ONE_AGE]

SETTINGS = {"base": "20m", "longest": "1h", "tail": "2s", "interval": "1s"}
"""Pauses double from a second up to five minutes: a slow machine does not make them many."""
HANGING = 8
"""As many as are asked promptly at once, and twice as many as are asked with patience."""


def test_hosts_that_hang_take_no_turn_of_one_that_answers_and_have_theirs_again(
    site: Site,
) -> None:
    """Seen: half of 1,000 exporters hung, and the other half were asked every five minutes."""
    site.use(SETTINGS)
    answers, *hanging = [site.add() for _ in range(HANGING + 1)]
    silence = site.gets_busy(answers)
    untils = [site.gets_busy(one)["endsAt"] for one in hanging]
    for one in hanging:
        one.exporter_hangs = True
    for one in (answers, *hanging):
        one.looks = 0

    wait_until("twenty looks", lambda: answers.looks >= 20, seen=lambda: answers.looks)
    assert max(one.looks for one in hanging) <= 10
    assert [site.one_silence(one)["endsAt"] for one in hanging] == untils, "unknown renews nothing"

    for one in hanging:
        one.exporter_hangs = False
        one.resident_bytes = 4 * GIB
        site.tell(one)
    wait_until(
        "all to be renewed",
        lambda: all(
            site.one_silence(one)["endsAt"] > until
            for one, until in zip(hanging, untils, strict=True)
        ),
        seen=lambda: [one.looks for one in hanging],
    )
    assert site.one_silence(answers)["id"] == silence["id"]
