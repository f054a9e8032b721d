"""The hours in which a restart may begin: ``Mon-Fri 22:00-05:00 Europe/Berlin``.

What counts is what a clock on the wall shows. Where clocks are set back, an hour of a window comes
twice; where they are set forward, it does not come. A window over midnight belongs to the day on
which it begins, and its end is the first minute that is outside.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
FORM = (
    "must be like 'Mon-Fri 22:00-05:00 Europe/Berlin': days (or none: every day), hours, time zone"
)
EVERY_DAY = frozenset(range(7))

_WINDOW = re.compile(
    r"((?P<days>[A-Za-z,-]+) )?(?P<begins>[0-9]{2}:[0-9]{2})-(?P<ends>[0-9]{2}:[0-9]{2})"
    r" (?P<zone>[A-Za-z0-9_+/-]{1,64})"
)
_MINUTES_OF_A_DAY = 24 * 60
_LOOK_AHEAD_MINUTES = 15 * _MINUTES_OF_A_DAY
"""A week, and another one where the hour of a window falls out with a change of clocks."""


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """One line of ``windows``."""

    text: str
    """As it is configured."""
    days: frozenset[int]
    """On which it begins; 0 is Monday."""
    begins: int
    """Minute of the day."""
    ends: int
    """Minute of the day, of the next one where it is not after ``begins``; 1440 is midnight."""
    zone: ZoneInfo

    def holds(self, moment: datetime) -> bool:
        """Whether an aware ``moment`` lies in it."""
        local = moment.astimezone(self.zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.begins < self.ends:
            return day in self.days and self.begins <= minute < self.ends
        began_yesterday = (day - 1) % 7 in self.days and minute < self.ends
        return began_yesterday or (day in self.days and minute >= self.begins)


@functools.lru_cache(maxsize=64)
def parse_zone(name: str) -> ZoneInfo:
    """Return the time zone that IANA calls ``name``. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone, like Europe/Berlin or UTC") from error


def parse_window(text: str) -> Window:
    """Return the window that ``text`` names. Raises ValueError that says what is allowed."""
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise ValueError(FORM)
    days = _days(match["days"]) if match["days"] else EVERY_DAY
    begins, ends = _minute(match["begins"]), _minute(match["ends"])
    if begins == _MINUTES_OF_A_DAY:
        raise ValueError("a window cannot begin at 24:00; say 00:00 of the next day")
    if begins == ends:
        raise ValueError("a window cannot end when it begins; all day is 00:00-24:00")
    return Window(text, days, begins, ends, parse_zone(match["zone"]))


def is_open(windows: Sequence[Window], now: float) -> bool:
    """Whether a restart may begin at unix time ``now``; without any window it may at any time."""
    moment = datetime.fromtimestamp(now, tz=UTC)
    return not windows or any(window.holds(moment) for window in windows)


def opens_at(windows: Sequence[Window], now: float) -> float | None:
    """Return the unix time at which the next of ``windows`` opens; None: none does for two weeks.

    To be asked while none is open.
    """
    minute = _next_open_minute(tuple(windows), int(now // 60))
    return None if minute is None else minute * 60.0


@functools.lru_cache(maxsize=64)
def _next_open_minute(windows: tuple[Window, ...], minute: int) -> int | None:
    """Return the first minute since 1970, after ``minute``, in a window: zones turn on minutes."""
    moment = datetime.fromtimestamp(minute * 60, tz=UTC)
    for ahead in range(1, _LOOK_AHEAD_MINUTES + 1):
        later = moment + timedelta(minutes=ahead)
        if any(window.holds(later) for window in windows):
            return minute + ahead
    return None


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(
                f"{part!r} is no day; days are {', '.join(DAYS)}, like Mon-Fri or Sat,Sun"
            )
        begins, ends = DAYS.index(first), DAYS.index(last or first)
        found.update((begins + step) % 7 for step in range((ends - begins) % 7 + 1))
    return frozenset(found)


def _minute(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if hours * 60 + minutes > _MINUTES_OF_A_DAY or minutes > 59:
        raise ValueError(f"{text!r} is no time of day; it goes from 00:00 to 24:00")
    return hours * 60 + minutes
