"""Query parameters that several routes take, and how times and numbers are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from memleash_responder.core import moments
from memleash_responder.web.api.table import Query
from memleash_toolkit.units import parse_duration

MAX_PAGE = 1000
_AGO = r"^(?=.)([0-9]{1,3}w)?([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$"
"""At the most 58 years, so that no duration that the document allows is too long to be read."""
_TEXT = r"^[^\u0000-\u001f\u007f]*$"
SINCE = {
    "type": "string",
    "anyOf": [{"format": "date-time"}, {"pattern": _AGO}],
    "examples": ["7d", "2026-01-31T12:00:00Z"],
}
"""A moment, or how long ago it was."""


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """Return a parser of whole numbers in these bounds."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and lowest <= int(text[:20]) <= highest):
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def one_of(words: Iterable[str]) -> Callable[[str], str]:
    """Return a parser that takes one of ``words``."""
    known = list(words)

    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return text

    return parse


def text(value: str) -> str:
    """Take any text that can be stored and looked for."""
    if not re.fullmatch(_TEXT, value):
        raise ValueError("must be text without control characters")
    return value


def moment(now: Callable[[], float]) -> Callable[[str], float]:
    """Return a parser of an RFC 3339 time, or of a duration before ``now``, as unix time."""

    def parse(value: str) -> float:
        if re.fullmatch(_AGO, value):
            return now() - parse_duration(value)
        try:
            return moments.parse(value)
        except ValueError as error:
            raise ValueError("must be a duration such as 7d, or an RFC 3339 time") from error

    return parse


def word(name: str, description: str, words: Iterable[str]) -> Query:
    """Return a parameter that is one of a closed set."""
    known = list(words)
    return Query(name, description, {"type": "string", "enum": known}, one_of(known))


def label(name: str, description: str) -> Query:
    """Return a parameter that is a label's value."""
    return Query(name, description, {"type": "string", "pattern": _TEXT}, text)


def paging(default: int = 100) -> tuple[Query, ...]:
    """Return the parameters of a list that comes in pages."""
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": default}
    offset = {"type": "integer", "minimum": 0, "maximum": 10**9, "default": 0}
    return (
        Query("limit", "How many at most.", limit, whole(1, MAX_PAGE), default),
        Query("offset", "How many to pass over.", offset, whole(0, 10**9), 0),
    )
