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
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z]+)")
_SIZE_FORMS = "a whole number of bytes, or a number with one of " + ", ".join(_SIZE_FACTORS)

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
    r"(?:(?P<y>\d+)y)?(?:(?P<w>\d+)w)?(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?"
    r"(?:(?P<m>\d+)m(?!s))?(?:(?P<s>\d+)s)?(?:(?P<ms>\d+)ms)?"
)
_DURATION_FORMS = "a duration such as 500ms, 30s, 5m or 1h30m"


def parse_size(value: object) -> int:
    """Return ``value`` (``"2GiB"``, ``"512 MB"``, ``1024``) in bytes, not negative.

    Raises ValueError that says which forms are allowed.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        if value.isascii() and value.isdigit():
            return int(value)
        match = _SIZE.fullmatch(value)
        if match and match["unit"] in _SIZE_FACTORS:
            return int(float(match["number"]) * _SIZE_FACTORS[match["unit"]])
    raise ValueError(f"must be {_SIZE_FORMS}")


def parse_duration(value: object) -> float:
    """Return ``value`` (``"5m"``, ``"1h30m"``, ``"0"``) in seconds, not negative.

    Raises ValueError that says which forms are allowed.
    """
    if value in ("0", 0) and not isinstance(value, bool):
        return 0.0
    if isinstance(value, str) and value:
        match = _DURATION.fullmatch(value)
        if match:
            return sum(
                int(count) * _DURATION_SECONDS[unit]
                for unit, count in match.groupdict().items()
                if count is not None
            )
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
