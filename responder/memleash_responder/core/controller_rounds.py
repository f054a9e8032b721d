"""In which order a controller is asked about the fleet, and how long its words are believed."""

from __future__ import annotations

from collections.abc import Iterable

BELIEVED_SECONDS = 300.0
"""For how long a word is believed, at least, when it is not renewed."""
LONGEST_BELIEVED_SECONDS = 3600.0
"""And at most, however slow the controller is."""


def in_turn(hosts: Iterable[str], after: str) -> list[str]:
    """Return every host once, by name, beginning with the one ``after`` which it comes next.

    A round that was given up is so gone on with: hosts that a controller cannot tell of hide no
    others for ever.
    """
    return sorted(hosts, key=lambda host: (host <= after, host))


def believed_seconds(lap_seconds: float) -> float:
    """Return for how long a word is believed that was renewed after so long: for two such laps."""
    return min(LONGEST_BELIEVED_SECONDS, max(BELIEVED_SECONDS, 2 * lap_seconds))
