"""Sizes and durations as people write them in configuration files, and back.

Sizes are IEC binary (``2GiB``) or decimal (``2GB``) and become whole bytes. Durations follow
Prometheus's notation (``1h30m``, ``500ms``) and become seconds.
Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/ (<duration>).
"""

from __future__ import annotations

import re

_SIZE_FACTORS = {
    "B": 1,
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGTP", start=1)},
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("KMGTP", start=1)},
}
_SIZE = re.compile(r"(?P<number>[0-9]{1,18}(?:\.[0-9]{1,18})?) *(?P<unit>[A-Za-z]*)")
_SIZE_FORMS = (
    "a whole number of bytes, or a number with one of "
    + ", ".join(_SIZE_FACTORS)
    + ", under 8192PiB"
)
_LARGEST_SIZE = 2**63 - 1  # what databases and kernels count with

_DURATION_SECONDS = {
    "y": 365 * 86400.0,
    "w": 7 * 86400.0,
    "d": 86400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 0.001,
}
_DURATION = re.compile(
    "".join(rf"(?:(?P<{unit}>[0-9]{{1,12}}){unit}(?!s))?" for unit in _DURATION_SECONDS)
)
_DURATION_FORMS = "a duration such as 500ms, 30s, 5m or 1h30m, at most 100y"
_LONGEST_SECONDS = 100 * _DURATION_SECONDS["y"]  # clocks and sockets take no more than about 290


def parse_size(value: object) -> int:
    """Return ``value`` (``"2GiB"``, ``"512 MB"``, ``1024``) in bytes, not negative.

    Raises ValueError that says which forms are allowed.
    """
    size: object = value
    if isinstance(value, str):
        size = _size(value)
    if isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= _LARGEST_SIZE:
        return size
    raise ValueError(f"must be {_SIZE_FORMS}")


def _size(text: str) -> int | None:
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    if not match["unit"]:
        return int(text) if text.isdigit() else None
    factor = _SIZE_FACTORS.get(match["unit"])
    return None if factor is None else int(float(match["number"]) * factor)


def parse_duration(value: object) -> float:
    """Return ``value`` (``"5m"``, ``"1h30m"``, ``"0"``) in seconds, not negative.

    Raises ValueError that says which forms are allowed.
    """
    if value in ("0", 0) and not isinstance(value, bool):
        return 0.0
    match = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if match:
        seconds = sum(
            int(count) * _DURATION_SECONDS[unit]
            for unit, count in match.groupdict().items()
            if count is not None
        )
        if seconds <= _LONGEST_SECONDS:
            return seconds
    raise ValueError(f"must be {_DURATION_FORMS}")


def format_size(size_bytes: float) -> str:
    """Return ``size_bytes`` for people, in binary units with three digits: ``2.00 GiB``."""
    magnitude = abs(size_bytes)
    for power, prefix in reversed(list(enumerate("KMGTP", start=1))):
        if magnitude >= 1024**power:
            return f"{size_bytes / 1024**power:.3g} {prefix}iB"
    return f"{size_bytes:.0f} B"


def format_duration(seconds: float) -> str:
    """Return ``seconds`` for people and for Prometheus: ``1h30m``, ``5m``, ``500ms``, ``0s``."""
    milliseconds = round(abs(seconds) * 1000)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        step = round(_DURATION_SECONDS[unit] * 1000)
        count, milliseconds = divmod(milliseconds, step)
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if seconds < 0 else "") + ("".join(parts) or "0s")
