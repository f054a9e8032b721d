"""Which busy markers count.

A marker is a file whose content is a JSON object, all keys optional:
``reason`` (for people, and not read), ``pid`` (whose death ends it), ``pid_start_ticks`` (that
process's start as in field 22 of /proc/<pid>/stat, so that a reused pid does not keep the marker
alive) and ``expires_at`` (unix seconds or RFC 3339). An empty file is a marker too: ``touch`` is
enough. Content that cannot be understood says nothing about when the marker ends, so the marker
counts by its presence: it must never make a busy agent look idle.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import datetime

from memleash_exporter.decisions.pids import checked_pid

MAX_AGE_SECONDS = 3600.0
"""A marker written (or touched) longer ago than this is forgotten litter."""


_JOB_OF_SALT = re.compile(
    rb"(?:[\x80-\x8f]|\xde..)\xa3pid(?:([\x00-\x7f])|\xcd(..)|\xce(....))", re.DOTALL
)
"""The begin of a MessagePack map whose first key is pid."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker file's claim. ``written_at`` is its modification time, unix seconds."""

    written_at: float
    pid: int | None = None
    pid_start_ticks: int | None = None
    expires_at: float | None = None


def parse(content: bytes, written_at: float) -> Marker:
    """Return the marker that ``content`` describes.

    Raises ValueError, and nothing else, for content that is neither empty nor such an object.
    """
    if not content.strip():
        return Marker(written_at)
    try:
        raw = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(raw, dict):
        raise ValueError("a marker must be a JSON object")  # noqa: TRY004 - a bad value in a file
    return Marker(
        written_at,
        pid=None if raw.get("pid") is None else checked_pid(raw["pid"]),
        pid_start_ticks=_ticks(raw.get("pid_start_ticks")),
        expires_at=_moment(raw.get("expires_at")),
    )


def parse_job_file(content: bytes, written_at: float) -> Marker:
    """Return the marker that the file of a job is: an agent's own file, there while the job runs.

    It ends with its process where its content names one: a number alone, as in a pidfile or a
    lock, or a job of salt-minion, whose pid comes first. Raises ValueError for a number that no
    process can have.
    """
    if content.strip().isdigit():
        return Marker(written_at, pid=checked_pid(int(content)))
    job = _JOB_OF_SALT.match(content)
    if job is None:
        return Marker(written_at)
    return Marker(written_at, pid=checked_pid(int.from_bytes(job[1] or job[2] or job[3], "big")))


def is_live(
    marker: Marker,
    now: float,
    pid_start_ticks: int | None,
    max_age_seconds: float = MAX_AGE_SECONDS,
) -> bool:
    """Return whether ``marker`` counts at ``now``.

    ``pid_start_ticks`` is the start of the process that has the marker's pid now, None when
    there is no such process. A time of writing in the future says that a clock is wrong and
    nothing about the age, so it ends no marker.
    """
    if now - marker.written_at > max_age_seconds:
        return False
    if marker.expires_at is not None and now >= marker.expires_at:
        return False
    if marker.pid is None:
        return True
    if pid_start_ticks is None:
        return False
    return marker.pid_start_ticks in (None, pid_start_ticks)


def _ticks(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("pid_start_ticks must be a positive whole number")
    return value


def _moment(value: object) -> float | None:
    if value is None:
        return None
    moment = math.nan
    if isinstance(value, str):
        moment = _rfc_3339(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        moment = _finite(value)
    if moment > 0:
        return moment
    raise ValueError("expires_at must be unix seconds over 0, or RFC 3339 with a zone")


def _rfc_3339(text: str) -> float:
    """Return ``text`` in unix seconds, nan for a time without a zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return math.nan if moment.tzinfo is None else moment.timestamp()


def _finite(number: float) -> float:
    """Return ``number``, nan where it is too large for a float or no number at all."""
    try:
        return float(number) if math.isfinite(number) else math.nan
    except OverflowError:  # JSON has whole numbers of any length
        return math.nan
