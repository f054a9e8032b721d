"""What the commands print: tables for people, JSON for programs.

Labels and reasons come from outside: control characters, and what reorders text, are printed
as escapes, so that no host's name moves a cursor or colours a terminal.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from toolkit.units import format_duration, format_size


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
    click.echo(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns; nothing but the heading when there are no rows."""
    shown = [[plain(cell) for cell in row] for row in rows]
    lines = [list(columns), *shown]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def size(value: int | None) -> str:
    """Return bytes for people."""
    return "unknown" if value is None else format_size(value)


def truth(value: bool | None, yes: str = "yes", no: str = "no") -> str:
    """Return what is known of a truth."""
    return "unknown" if value is None else yes if value else no


def ago(when: str | None) -> str:
    """Return how long ago an RFC 3339 time is."""
    if when is None:
        return "never"
    seconds = (datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds()
    return f"{format_duration(max(0, round(seconds)))} ago"


def left(until: str | None) -> str:
    """Return how long it is to an RFC 3339 time."""
    if until is None:
        return ""
    seconds = (datetime.fromisoformat(until) - datetime.now(UTC)).total_seconds()
    return format_duration(max(0, round(seconds)))
