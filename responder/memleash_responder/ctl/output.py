"""What the commands print: tables for people, JSON for programs. The only place that writes.

Labels and reasons come from outside: control characters, and what reorders text, are printed
as escapes, so that no host's name moves a cursor or colours a terminal.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from memleash_toolkit.units import format_duration, format_size


class CannotWrite(Exception):
    """Standard output took no more; ``is_closed`` when its reader has gone."""

    def __init__(self, error: OSError) -> None:
        self.is_closed = isinstance(error, BrokenPipeError)
        super().__init__(f"the output cannot be written: {error.strerror or error}")


class _Output(io.TextIOWrapper):
    """A standard output whose errors are our own; click ends the program at some of the others."""

    def write(self, text: str) -> int:
        with _own_errors():
            return super().write(text)

    def flush(self) -> None:
        with _own_errors():
            super().flush()


@contextlib.contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotWrite(error) from error


def prepare_streams() -> None:
    """Make what a terminal's encoding lacks an escape, and errors of writing CannotWrite."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = sys.stdout.encoding
        sys.stdout = _Output(sys.stdout.detach(), encoding=encoding, errors="backslashreplace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


def abandon_output() -> None:
    """Let what is still buffered go nowhere, so that the end of the program is a quiet one."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def complain(text: str) -> None:
    """Print one line to standard error, where that is possible."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def say(text: str = "") -> None:
    """Print ``text`` with a line break. Raises CannotWrite."""
    print(text, flush=True)


def flush() -> None:
    """Write what is still buffered. Raises CannotWrite."""
    print(end="", flush=True)


def plain(value: object) -> str:
    """Return ``value`` on one line, with nothing that a terminal would act on."""
    return "".join(
        character
        if unicodedata.category(character)[0] != "C"
        else character.encode("unicode_escape").decode("ascii")
        for character in str(value)
    )


def print_json(value: Any) -> None:
    """Print ``value`` as JSON; ASCII alone, so that escapes stay escapes."""
    say(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns; nothing but the heading when there are no rows."""
    shown = [[plain(cell) for cell in row] for row in rows]
    lines = [list(columns), *shown]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    say("\n".join(aligned))


def size(value: int | None) -> str:
    """Return bytes for people."""
    return "unknown" if value is None else format_size(value)


def truth(value: bool | None, yes: str = "yes", no: str = "no") -> str:
    """Return what is known of a truth."""
    return "unknown" if value is None else yes if value else no


def moment(when: datetime) -> str:
    """Return a time, which is in UTC, as RFC 3339."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def ago(when: datetime | None) -> str:
    """Return how long ago a time is."""
    if when is None:
        return "never"
    seconds = (datetime.now(UTC) - when).total_seconds()
    return f"{format_duration(max(0, round(seconds)))} ago"


def left(until: datetime | None) -> str:
    """Return how long it is to a time."""
    if until is None:
        return ""
    seconds = (until - datetime.now(UTC)).total_seconds()
    return format_duration(max(0, round(seconds)))
