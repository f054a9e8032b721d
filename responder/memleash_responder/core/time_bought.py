"""Whether restarts help: how long each kept an agent below its limit, and whether that shrinks.

The time that a restart bought goes from its command until the limit was passed again: until the
next alert began or, where no alert told, until the next restart. None of it is stored: the history
of requests says it.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

from memleash_toolkit.units import format_duration

IN_A_ROW = 3
"""So many restarts, one after the other, that bought too little beside the first."""


SHOWN_SECONDS = 30 * 86400.0
"""What restarts bought is shown for so long; whether it shrinks is decided by all that is kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class TimeBought:
    """What one restart bought, as far as it is known by now."""

    host: str
    agent: str
    restarted_at: float
    """When its command was sent, unix seconds."""
    seconds: float


def times_bought(
    restarts: Iterable[tuple[str, str, float]],
    ends: Mapping[tuple[str, str], Sequence[float]],
    planned: Mapping[tuple[str, str], Collection[float]] | None = None,
) -> list[TimeBought]:
    """Return what each of the ``restarts`` (host, agent, unix time) bought, oldest first.

    ``ends`` are, by host and agent, the moments at which the limit was known to be passed, those of
    the restarts included. A restart after which there is none is left out. So is one that was
    followed by a restart of the ``planned``, which say nothing of the limit.
    """
    in_order = {key: sorted(moments) for key, moments in ends.items()}
    found = []
    for host, agent, at in sorted(restarts, key=lambda one: one[2]):
        later = in_order.get((host, agent), [])
        number = bisect.bisect_right(later, at)
        if number == len(later) or later[number] in (planned or {}).get((host, agent), ()):
            continue
        found.append(TimeBought(host, agent, at, later[number] - at))
    return found


def seconds_by_agent(times: Iterable[TimeBought]) -> Mapping[tuple[str, str], tuple[float, ...]]:
    """Return what each restart bought, in seconds, by host and agent, in the order of ``times``."""
    found: dict[tuple[str, str], tuple[float, ...]] = {}
    for one in times:
        key = (one.host, one.agent)
        found[key] = (*found.get(key, ()), one.seconds)
    return found


def shrinking(seconds: Sequence[float], ratio: float) -> str | None:
    """Return why an agent is restarted no more, from what each restart bought it, oldest first.

    That is when the last is the third in a row under ``ratio`` of the first; None otherwise. After
    that the counting begins anew: who clears the quarantine allows three such times more.
    """
    first, fewer = 0.0, 0
    for number, bought in enumerate(seconds):
        begins_anew = number == 0 or fewer == IN_A_ROW
        first = bought if begins_anew else first
        fewer = fewer + 1 if bought < ratio * first and not begins_anew else 0
    if fewer < IN_A_ROW:
        return None
    last = ", ".join(format_duration(round(bought)) for bought in seconds[-IN_A_ROW:])
    before = format_duration(round(first))
    return f"restarts help less and less: one bought {before}, the last three {last}"
