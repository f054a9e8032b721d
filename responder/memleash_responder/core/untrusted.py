"""What comes from outside, made into values that can be believed.

An exporter, Prometheus, Alertmanager, a controller or a host may answer anything. Each adapter
passes what it was told through these functions where it enters, so that nothing behind that
place meets a number of 400 digits, half a character, or a name as long as a book.
None means that the value cannot be understood: it is unknown, never zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

MOST_BYTES = 2**63 - 1
"""No machine has more memory, and no database stores a larger whole number."""

LINE_CHARACTERS = 300
"""How much of somebody else's text stands in a message of ours."""
NAME_CHARACTERS = 64
"""How much of a name stands in a list of names."""
NAMES_LISTED = 8
OUTPUT_CHARACTERS = 4000
"""How much of what a command printed is kept in the history."""

_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


def number(raw: object) -> float | None:
    """Return a finite number; text and true or false are none."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        value = float(raw)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def decimal(raw: object) -> float | None:
    """Return the finite number that Prometheus's JSON writes as text: ``"1.5e+09"``."""
    if not isinstance(raw, str) or not _DECIMAL.fullmatch(raw):
        return None
    return number(float(raw))


def size_bytes(raw: object) -> int | None:
    """Return a number of bytes that a machine can have."""
    value = number(raw)
    return int(value) if value is not None and 0 <= value <= MOST_BYTES else None


def truth(raw: object) -> bool | None:
    """Return what a metric of 0 and 1 says; nothing else is a truth."""
    value = number(raw)
    return None if value is None else {0.0: False, 1.0: True}.get(value)


def line(raw: object, limit: int = LINE_CHARACTERS) -> str:
    """Return text as one line of at most ``limit`` characters that can be shown and stored."""
    text = raw if isinstance(raw, str) else type(raw).__name__
    words = " ".join(text[: 4 * limit].split())
    whole = len(text) <= 4 * limit and len(words) <= limit
    clean = "".join(one if one.isprintable() else "\ufffd" for one in words[:limit])
    return clean if whole else f"{clean[: limit - 1]}…"


def output(text: str, limit: int = OUTPUT_CHARACTERS) -> str:
    """Return the end of what a program printed, its lines kept, so that it can be stored."""
    kept = text[-limit:]
    clean = "".join(one if one in "\n\t" or one.isprintable() else "\ufffd" for one in kept)
    return clean if len(text) <= limit else f"…{clean[1:]}"


def listed(names: Sequence[str], *, more: int = 0, characters: int = NAME_CHARACTERS) -> str:
    """Return the first ``names`` and how many ``more`` there are: ``a, b and 99,990 more``."""
    first = [line(name, characters) for name in names[:NAMES_LISTED]]
    left = len(names) - len(first) + more
    return ", ".join(first) + (f" and {left:,} more" if left else "")
