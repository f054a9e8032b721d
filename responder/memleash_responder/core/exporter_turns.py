"""When the exporter of a muted host is asked again, and which host goes first.

A host that does not answer promptly leaves its turn to those that do, and is then asked with all
the patience that is configured. One that does not answer even then is asked again after growing
pauses. None of this decides about its mute: unknown renews nothing, so it ends at its deadline.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

from memleash_responder.core.policy import Mute

PROMPT_SECONDS = 1.0
"""How long a host has to answer before others go first, if it has so long at all."""


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """What is remembered of asking one host."""

    due_at: float = 0.0
    """The uptime from which it may be asked again, in seconds."""
    silent: int = 0
    """How often in a row it did not answer: promptly for the first time, then with patience."""
    is_slow: bool = False
    """It did not answer promptly the last time."""

    @property
    def hangs(self) -> bool:
        """Whether it did not answer even when it was asked with patience."""
        return self.silent > 1

    def in_line(self, *, ahead: bool = False) -> Turn:
        """Return the turn of a host that waits to be asked, and so is not due as well.

        ``ahead`` of those that hang goes one of which an alert tells: Prometheus was answered.
        """
        silent = min(self.silent, 1) if ahead else self.silent
        return dataclasses.replace(self, due_at=math.inf, silent=silent)


def after_ask(
    turn: Turn, policy: Mute, *, answered: bool, is_slow: bool, patiently: bool, uptime: float
) -> Turn:
    """Return a host's turn after it was asked.

    An exporter that refuses at once costs nobody time: it is asked as often as one that answers.
    The pauses grow up to a quarter of ``base``, after which most of a mute is still to come: a host
    that soon answers again is renewed in time.
    """
    if answered or not is_slow:
        return Turn(uptime, 0, is_slow)
    longest_seconds = max(policy.interval, policy.base / 4)
    pause_seconds = min(policy.interval * 2.0 ** min(turn.silent, 16), longest_seconds)
    silent = turn.silent + 1 if patiently else max(turn.silent, 1)
    return Turn(uptime + pause_seconds, silent, is_slow)


def next_in_line(waiting: Iterable[str], turns: Mapping[str, Turn]) -> str:
    """Return which of the hosts ``waiting`` is asked next: slow ones before silent ones.

    Of hosts that were silent equally often, the first.
    """
    return min(waiting, key=lambda host: turns.get(host, Turn()).silent)
