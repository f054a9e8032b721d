"""The hours in which a restart may begin, as a clock on the wall shows them."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from memleash_responder.core.restart_windows import is_open, opens_at, parse_window

BERLIN, ADELAIDE = "Europe/Berlin", "Australia/Adelaide"


def at(text: str, zone: str = BERLIN, *, fold: int = 0) -> float:
    """Return the unix time at which a clock in ``zone`` shows ``text``."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("window", "shows", "held"),
    [
        ("Mon-Fri 22:00-05:00 Europe/Berlin", "2026-11-26T21:59:59", False),  # a Thursday
        ("Mon-Fri 22:00-05:00 Europe/Berlin", "2026-11-26T22:00:00", True),
        ("Mon-Fri 22:00-05:00 Europe/Berlin", "2026-11-27T04:59:59", True),
        ("Mon-Fri 22:00-05:00 Europe/Berlin", "2026-11-27T05:00:00", False),
        ("Mon-Fri 22:00-05:00 Europe/Berlin", "2026-11-28T04:00:00", True),  # began on Friday
        ("Mon-Fri 22:00-05:00 Europe/Berlin", "2026-11-28T22:00:00", False),  # Saturday
        ("Mon-Fri 22:00-05:00 Europe/Berlin", "2026-11-30T04:00:00", False),  # would be Sunday's
        ("Sun 23:00-01:00 Europe/Berlin", "2026-11-30T00:30:00", True),
        ("Sat-Mon 10:00-11:00 Europe/Berlin", "2026-11-29T10:30:00", True),
        ("Sat-Mon 10:00-11:00 Europe/Berlin", "2026-11-24T10:30:00", False),  # Tuesday
        ("Tue,Thu 10:00-11:00 Europe/Berlin", "2026-11-26T10:30:00", True),
        ("Tue,Thu 10:00-11:00 Europe/Berlin", "2026-11-25T10:30:00", False),
        ("00:00-24:00 Europe/Berlin", "2026-11-25T23:59:59", True),
        ("20:00-24:00 Europe/Berlin", "2026-11-25T23:59:59", True),
        ("20:00-24:00 Europe/Berlin", "2026-11-26T00:00:00", False),
        ("20:00-00:00 Europe/Berlin", "2026-11-26T00:00:00", False),
    ],
)
def test_a_window_holds_what_its_clock_shows(window: str, shows: str, held: bool) -> None:
    assert is_open([parse_window(window)], at(shows)) is held


def test_the_hour_that_comes_twice_is_open_both_times() -> None:
    window = [parse_window("02:00-03:00 Europe/Berlin")]
    first, second = at("2026-10-25T02:30"), at("2026-10-25T02:30", fold=1)

    assert second - first == 3600
    assert is_open(window, first)
    assert is_open(window, second)
    assert not is_open(window, at("2026-10-25T03:00"))


def test_the_hour_that_does_not_come_opens_nothing_on_that_day() -> None:
    window = [parse_window("Sun 02:00-03:00 Europe/Berlin")]
    midnight = at("2026-03-29T00:00")

    assert not any(is_open(window, midnight + minute * 60) for minute in range(23 * 60))
    assert opens_at(window, midnight) == at("2026-04-05T02:00")


def test_a_window_that_begins_in_the_missing_hour_opens_when_the_clock_is_in_it() -> None:
    window = [parse_window("02:30-05:00 Europe/Berlin")]

    assert opens_at(window, at("2026-03-29T00:00")) == at("2026-03-29T03:00")


def test_each_zone_has_its_own_clock() -> None:
    both = [parse_window(f"09:00-10:00 {BERLIN}"), parse_window(f"09:00-10:00 {ADELAIDE}")]

    assert is_open(both, at("2026-11-26T09:30", ADELAIDE))
    assert is_open(both, at("2026-11-26T09:30", BERLIN))
    assert not is_open(both, at("2026-11-26T12:00", BERLIN))
    assert opens_at(both, at("2026-11-26T12:00", BERLIN)) == at("2026-11-27T09:00", ADELAIDE)


def test_without_windows_any_time_will_do() -> None:
    assert is_open([], 0.0)


def test_the_next_opening_may_be_a_week_away() -> None:
    window = [parse_window("Thu 10:00-10:01 Europe/Berlin")]

    assert opens_at(window, at("2026-11-26T10:01")) == at("2026-12-03T10:00")


def test_the_next_opening_may_be_two_weeks_away_where_a_change_of_clocks_takes_one() -> None:
    window = [parse_window("Sun 02:00-03:00 Europe/Berlin")]

    assert opens_at(window, at("2026-03-22T03:00")) == at("2026-04-05T02:00")


def test_a_machine_without_zones_has_those_of_the_package() -> None:
    """As in Debian's slim images."""
    module = "memleash_responder.core.restart_windows"
    ask = f"from {module} import parse_window as p; p('00:00-24:00 Asia/Tokyo')"
    bare = {**os.environ, "PYTHONTZPATH": ""}
    subprocess.run([sys.executable, "-c", ask], env=bare, check=True, timeout=120)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must be like"),
        ("22:00-05:00", "must be like"),
        ("Mon-Fri 22-05 Europe/Berlin", "must be like"),
        ("mon-fri 22:00-05:00 Europe/Berlin", "'mon-fri' is no day; days are Mon, Tue"),
        ("Mon,Fun 22:00-05:00 Europe/Berlin", "'Fun' is no day"),
        ("Mon- 22:00-05:00 Europe/Berlin", "'Mon-' is no day"),
        ("22:00-25:00 UTC", "'25:00' is no time of day; it goes from 00:00 to 24:00"),
        ("22:60-23:00 UTC", "'22:60' is no time of day"),
        ("24:00-05:00 UTC", "cannot begin at 24:00"),
        ("10:00-10:00 UTC", "all day is 00:00-24:00"),
        ("10:00-11:00 Europe/Bonn", "'Europe/Bonn' is no time zone, like Europe/Berlin or UTC"),
        ("10:00-11:00 /etc/passwd", "is no time zone"),
        ("10:00-11:00 ../UTC", "must be like"),
    ],
)
def test_what_is_no_window_is_told_with_what_is_allowed(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_window(text)
