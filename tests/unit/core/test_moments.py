"""Times as others write them, from one end of time to the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memleash_responder.core.moments import EARLIEST, LATEST, as_datetime, clamped, parse, rfc3339

NONE = timedelta()
OFFSETS = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(
    lambda delta: timezone(timedelta(minutes=delta // timedelta(minutes=1)))
)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2026-01-02T03:04:05Z", 1767323045.0),
        ("2026-01-02t03:04:05z", 1767323045.0),
        ("2026-01-02 03:04:05", 1767323045.0),
        ("2026-01-02T03:04:05.678901234Z", 1767323045.678901),
        ("2026-01-02T05:04:05+02:00", 1767323045.0),
        ("2026-01-01T23:34:05-03:30", 1767323045.0),
        ("2016-12-31T23:59:60Z", 1483228800.0),
        ("0001-01-01T00:00:00Z", EARLIEST),
        ("0001-01-01T00:00:00+14:00", EARLIEST),
        ("0000-01-01T00:00:00Z", EARLIEST),
        ("9999-12-31T23:59:59-14:00", LATEST),
        ("9999-12-31T23:59:59.999999999Z", LATEST),
        ("9999-12-31T23:59:60Z", LATEST),
    ],
)
def test_every_time_of_rfc_3339_is_a_moment(text: str, moment: float) -> None:
    assert parse(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-02",
        "20260102T030405Z",
        "2026-W01-1",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:04:61Z",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+2",
        "2026-01-02T03:04:05Z\n",
        "10000-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
        "\u0662026-01-02T03:04:05Z",
        "2026-01-02T03:04:05." + "9" * 400 + "Z",
        None,
        5,
        True,
        [],
    ],
)
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"not an RFC 3339 time|must be in|out of range"):
        parse(text)


@given(st.datetimes(timezones=OFFSETS))
def test_any_time_of_python_is_read_and_can_be_shown(when: datetime) -> None:
    moment = parse(when.isoformat())
    assert EARLIEST <= moment <= LATEST
    assert abs(parse(rfc3339(moment)) - moment) <= 0.001
    utc_seconds = when.replace(tzinfo=None) - datetime(1970, 1, 1) - (when.utcoffset() or NONE)  # noqa: DTZ001 - both are
    assert moment == clamped(utc_seconds.total_seconds())


@given(st.floats())
def test_any_number_can_be_shown_as_a_moment(moment: float) -> None:
    assert as_datetime(moment).tzinfo is UTC
    assert rfc3339(moment).endswith("Z")
