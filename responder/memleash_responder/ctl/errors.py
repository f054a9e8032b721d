"""What ends a command early, and the exit code that says why."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """What the exit code says."""

    DONE = 0
    """It was done, or shown."""
    NO = 1
    """The responder, a check or a restart said no, or there is no such thing."""
    USAGE = 2
    """The command line or the configuration cannot be understood."""
    UNREACHABLE = 3
    """The responder did not answer, cannot work now, or something else answered in its place."""
    NOT_ALLOWED = 4
    """The credentials are missing, wrong, or of too small a role."""
    NOT_WRITTEN = 5
    """The output or a file cannot be written. What was asked of the responder was done."""
    MISTAKE = 70
    """memleashctl itself has a mistake, which should be reported."""


class CtlError(Exception):
    """Ends the command with a message and ``code``."""

    def __init__(self, message: str, code: Exit) -> None:
        self.code = code
        super().__init__(message)
