"""When a lost host is reconnected by itself: how long to wait, and when a person has to look.

A controller may restart the agent when it reconnects the host, as ZStack's does through Ansible. A
host that does not come back so would be restarted again and again.
"""

from __future__ import annotations

from memleash_responder.core.facts import same_life

FIRST_SECONDS, LONGEST_SECONDS = 60.0, 900.0
MOST_CHANGES = 2
"""After so many reconnects in a row, each of which left another process, a person is asked."""

WANTS_A_PERSON = (
    f"each of the last {MOST_CHANGES} reconnects left another process of the agent and the host"
    " was not back: it is not asked for again until a person reconnects the host"
)


def next_attempt_seconds(attempts: int) -> float:
    """Return the wait after this many failed attempts: 1, 2, 4, 8, then 15 minutes."""
    return min(FIRST_SECONDS * 2.0 ** max(0, attempts - 1), LONGEST_SECONDS)


def changes_in_a_row(before: int, asked_life: float | None, life: float) -> int:
    """Return after how many reconnects in a row the agent was another process.

    ``before`` is what it was at the last one, which was asked for when the process started at
    ``asked_life`` ran (None: there was none); ``life`` is that of now. Unix seconds.
    """
    if asked_life is None or same_life(asked_life, life):
        return 0
    return before + 1
