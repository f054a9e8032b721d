"""Whose turn it is to write to SQLite, which has one writer at a time.

Writers of one process queue here instead of polling for SQLite's lock, which costs up to 100 ms.
Urgent ones go first, but after a few of them in a row one of the others has its turn.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

IN_A_ROW = 8


class WriterTurns:
    """A lock that knows who is in a hurry."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = False
        self._urgent_waiting = 0
        self._others_waiting = 0
        self._urgent_in_a_row = 0

    @contextlib.contextmanager
    def turn(self, *, urgent: bool) -> Iterator[None]:
        """Wait for a turn, and give it up at the end."""
        with self._changed:
            if urgent:
                self._urgent_waiting += 1
                self._changed.wait_for(self._urgent_may)
                self._urgent_waiting -= 1
                self._urgent_in_a_row += 1
            else:
                self._others_waiting += 1
                self._changed.wait_for(self._others_may)
                self._others_waiting -= 1
                self._urgent_in_a_row = 0
            self._taken = True
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()

    def _urgent_may(self) -> bool:
        others_due = self._others_waiting > 0 and self._urgent_in_a_row >= IN_A_ROW
        return not self._taken and not others_due

    def _others_may(self) -> bool:
        urgent_due = self._urgent_waiting > 0 and self._urgent_in_a_row < IN_A_ROW
        return not self._taken and not urgent_due
