"""Sizes and durations: what people write, what it means, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memleash_toolkit.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("2GiB", 2 * 1024**3),
        ("2 GiB", 2 * 1024**3),
        ("1.5MiB", 1572864),
        ("2GB", 2 * 10**9),
        ("512B", 512),
        ("1024", 1024),
        (1024, 1024),
        (0, 0),
        ("0", 0),
    ],
)
def test_a_size_is_read_in_bytes(text: object, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text",
    [
        "5GX",
        "-1",
        -1,
        "2gib",
        "",
        "GiB",
        True,
        None,
        1.5,
        "1e3",
        2**63,
        "8192PiB",
        "9" * 5000,
        "٣GiB",
    ],
)
def test_what_is_no_size_is_refused_with_the_forms_allowed(text: object) -> None:
    with pytest.raises(ValueError, match="a whole number of bytes, or a number with one of B, KiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m", 300),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1d", 86400),
        ("0", 0),
        (0, 0),
        ("1w2d3h4m5s6ms", 788645.006),
        ("100y", 100 * 365 * 86400),
    ],
)
def test_a_duration_is_read_in_seconds(text: object, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "5",
        5,
        "m",
        "",
        "-5m",
        "5m1h",
        "1.5h",
        "101y",
        "9" * 500 + "s",
        "٣s",
        True,
        False,
        None,
        "5 m",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="a duration such as 500ms, 30s, 5m or 1h30m"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**11))
def test_a_duration_written_for_people_reads_back_the_same(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(
        milliseconds / 1000, abs=1e-4
    )


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (2.5 * 1024**3, "2.5 GiB"), (-2048, "-2 KiB")],
)
def test_a_size_is_written_for_people(size_bytes: float, text: str) -> None:
    assert format_size(size_bytes) == text
