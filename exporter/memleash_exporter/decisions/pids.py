"""What can be the number of a process."""

from __future__ import annotations

LARGEST = 2**22
"""The most that Linux allows in /proc/sys/kernel/pid_max."""


def checked_pid(value: object) -> int:
    """Return ``value`` as a pid. Raises ValueError for what no process can be called.

    A number that no process can have is a mistake of whoever wrote it. It does not say that
    the process is over.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST:
        return value
    raise ValueError(f"pid must be a whole number from 1 to {LARGEST}")
