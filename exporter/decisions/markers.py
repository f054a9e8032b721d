"""Which busy markers count.

A marker is a file whose content is a JSON object, all keys optional:
``reason`` (for people), ``pid`` (whose death ends it), ``pid_start_ticks`` (that process's start
as in field 22 of /proc/<pid>/stat, so that a reused pid does not keep the marker alive) and
``expires_at`` (unix seconds or RFC 3339). An empty file is a marker too: ``touch`` is enough.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

MAX_AGE_SECONDS = 3600.0
"""A marker written (or touched) longer ago than this is forgotten litter."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker file's claim. ``written_at`` is its modification time, unix seconds."""

    written_at: float
    pid: int | None = None
    pid_start_ticks: int | None = None
    expires_at: float | None = None
    reason: str = ""


def parse(content: bytes, written_at: float) -> Marker:
    """Return the marker that ``content`` describes.

    Raises ValueError for content that is neither empty nor such an object.
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
        pid=_whole(raw, "pid"),
        pid_start_ticks=_whole(raw, "pid_start_ticks"),
        expires_at=_moment(raw.get("expires_at")),
        reason=str(raw.get("reason") or ""),
    )


def is_live(marker: Marker, now: float, pid_start_ticks: int | None) -> bool:
    """Return whether ``marker`` counts at ``now``.

    ``pid_start_ticks`` is the start of the process that has the marker's pid now, None when
    there is no such process. A time of writing in the future counts as recent up to the same
    hour, so that a clock set back does not end a running task's marker.
    """
    if abs(now - marker.written_at) > MAX_AGE_SECONDS:
        return False
    if marker.expires_at is not None and now >= marker.expires_at:
        return False
    if marker.pid is None:
        return True
    if pid_start_ticks is None:
        return False
    return marker.pid_start_ticks in (None, pid_start_ticks)


def _whole(raw: dict[str, object], key: str) -> int | None:
    value = raw.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{key} must be a positive whole number")
    return value


def _moment(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.timestamp()
    raise ValueError("expires_at must be unix seconds or RFC 3339 with a zone")
