"""Who lives, told by signs of life that change.

Everybody writes a sign now and then, and watches the others' by its own clock: neither a step of
the database's clock nor a time in which nobody could write makes the living look dead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

RETIRED = 0.0
"""The sign of who stopped in an orderly way."""


@dataclasses.dataclass(frozen=True, slots=True)
class Watch:
    """What one replica knows of all. Times are seconds of its own uptime."""

    at: float
    """When it looked last."""
    signs: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    """By replica: its last sign, and when that was first seen."""


def watched(before: Watch | None, signs: Mapping[str, float], now: float, gap: float) -> Watch:
    """Return what is known after a look at ``signs``, each replica's last.

    A ``gap`` since the last look means that this replica, too, could not write or did not run.
    """
    if before is None or now - before.at > gap:
        return Watch(now, {name: (sign, now) for name, sign in signs.items()})
    seen = {
        name: before.signs[name]
        if name in before.signs and before.signs[name][0] == sign
        else (sign, now)
        for name, sign in signs.items()
    }
    return Watch(now, seen)


def silent(watch: Watch, me: str, dead_after: float) -> list[str]:
    """Return who is dead: it retired, or its sign stood still for ``dead_after``; never ``me``."""
    return sorted(
        name
        for name, (sign, seen_at) in watch.signs.items()
        if name != me and (sign == RETIRED or watch.at - seen_at >= dead_after)
    )
