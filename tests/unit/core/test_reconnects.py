"""When reconnects change the life of an agent each time, and are left to a person."""

from __future__ import annotations

import pytest

from memleash_responder.core.reconnects import changes_in_a_row


@pytest.mark.parametrize(
    ("before", "asked_life", "life", "changes"),
    [
        (0, None, 100.0, 0),
        (0, 100.0, 100.4, 0),
        (0, 100.0, 160.0, 1),
        (1, 160.0, 220.0, 2),
        (1, 160.0, 160.0, 0),
        (1, None, 160.0, 0),
    ],
)
def test_reconnects_that_change_the_life_are_counted_in_a_row(
    before: int, asked_life: float | None, life: float, changes: int
) -> None:
    assert changes_in_a_row(before, asked_life, life) == changes
