"""Query parameters, as tables."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from memleash_responder.web.api.parameters import moment, one_of, text, whole

NOW = 1_800_000_000.0


@pytest.mark.parametrize(("written", "number"), [("1", 1), ("10", 10), ("007", 7)])
def test_a_whole_number_in_bounds_is_taken(written: str, number: int) -> None:
    assert whole(1, 10)(written) == number


@pytest.mark.parametrize(
    "written", ["", "0", "11", "-1", "1.0", "1e1", "x", " 1", "\uff11", "9" * 99]
)
def test_any_other_number_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="from 1 to 10"):
        whole(1, 10)(written)


def test_one_of_a_set_names_the_set() -> None:
    assert one_of(["a", "b"])("b") == "b"
    with pytest.raises(ValueError, match="one of a, b"):
        one_of(["a", "b"])("c")


@pytest.mark.parametrize("written", ["a\0", "a\n", "\x1b[31m", "\x7f"])
def test_control_characters_are_refused(written: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        text(written)


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("7d", NOW - 7 * 86400),
        ("1h30m", NOW - 5400),
        ("999w9999d", NOW - (999 * 7 + 9999) * 86400),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()),
        ("2026-01-02T03:04:05+01:00", datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC).timestamp()),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()),
    ],
)
def test_a_moment_is_a_time_or_how_long_ago_it_was(written: str, at: float) -> None:
    assert moment(lambda: NOW)(written) == at


@pytest.mark.parametrize(
    "written", ["", "yesterday", "7", "-7d", "7D", "8031w", "2026-13-01T00:00:00Z"]
)
def test_any_other_moment_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="duration such as 7d"):
        moment(lambda: NOW)(written)
