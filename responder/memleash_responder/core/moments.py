"""Moments as others write them and as people read them, from one end of time to the other.

A moment is unix time in seconds. A moment before 1970 or after 9999 can neither be shown nor
compared safely, so it counts as the nearer of these two ends, wherever it comes from.
Source: https://www.rfc-editor.org/rfc/rfc3339#section-5.6.

An age must not depend on the wall clock being left alone. So a stamp names a moment twice: by the
wall clock, and by the uptime of the machine that made it.
"""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from memleash_responder.core.untrusted import number

UNIX_SECONDS = "unix seconds"
Moment = Annotated[float, UNIX_SECONDS]
"""A moment as a kind of field, to be told from other numbers where it is shown."""

EARLIEST, LATEST = 0.0, 253402300799.0
"""1970-01-01T00:00:00Z and 9999-12-31T23:59:59Z, the last second that datetime can show."""

SKEW_SECONDS = 60.0
"""How far the clocks of two machines may be apart."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})[Tt ]"
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(\.(?P<fraction>[0-9]{1,18}))?"
    r"([Zz]|(?P<sign>[+-])(?P<hours>[01][0-9]|2[0-3]):(?P<minutes>[0-5][0-9]))?"
)


def parse(text: object, *, fraction_digits: int = 6) -> float:
    """Return the moment that an RFC 3339 time names, to microseconds at most. Raises ValueError.

    Without an offset it is UTC. Year 0 and second 60 are times, too.
    """
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("not an RFC 3339 time")
    leaps = match["second"] == "60"
    when = datetime(
        max(1, int(match["year"])),
        int(match["month"]),
        int(match["day"]),
        int(match["hour"]),
        int(match["minute"]),
        59 if leaps else int(match["second"]),
        int((match["fraction"] or "")[:fraction_digits].ljust(6, "0")),
        tzinfo=UTC,
    )
    since_epoch = when - _EPOCH + timedelta(seconds=leaps) - _offset(match)
    return clamped(since_epoch.total_seconds())


def _offset(match: re.Match[str]) -> timedelta:
    """Return how far an RFC 3339 time is ahead of UTC. As datetimes, both ends would overflow."""
    ahead = timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
    return -ahead if match["sign"] == "-" else ahead


def clamped(moment: float) -> float:
    """Return a moment between the two ends of time; what is no number is the earlier end."""
    return min(moment, LATEST) if moment > EARLIEST else EARLIEST


def unix_seconds(raw: object) -> float | None:
    """Return the moment that a metric gives; None when it cannot be one."""
    value = number(raw)
    return value if value is not None and EARLIEST <= value <= LATEST else None


def as_datetime(moment: float) -> datetime:
    """Return a moment in UTC."""
    return datetime.fromtimestamp(clamped(moment), tz=UTC)


def rfc3339(moment: float) -> str:
    """Return a moment for programs: ``2026-01-31T12:00:00.250000Z``."""
    return as_datetime(moment).isoformat().replace("+00:00", "Z")


@dataclasses.dataclass(frozen=True, slots=True)
class Stamp:
    """A moment whose age can be told.

    On the machine that made it and in that boot, the uptime tells its age; otherwise the wall
    clocks are all there is, and an age below zero counts as zero.
    """

    at: float
    """Unix time."""
    boot_id: str
    """Which boot of which machine."""
    uptime_seconds: float
    """Seconds since that boot, suspension included."""

    def age_seconds(self, now: Stamp) -> float:
        """Return how long before ``now`` this was, not negative."""
        if self.boot_id == now.boot_id:
            return max(0.0, now.uptime_seconds - self.uptime_seconds)
        return max(0.0, now.at - self.at)
