"""Query parameters that several routes take, and how times, numbers and names are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from memleash_responder.core import moments
from memleash_responder.core.untrusted import LINE_CHARACTERS
from memleash_responder.web.api.table import Query
from memleash_toolkit.units import parse_duration
from memleash_toolkit.values import NAME, NAME_FORM

MAX_PAGE = 1000
DURATION = r"^(?=.)([0-9]{1,3}w)?([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$"
"""At the most 58 years, so that no duration that the document allows is too long to be read."""
TEXT = r"^[^\u0000-\u001f\u007f]*$"
SINCE = {
    "type": "string",
    "anyOf": [{"format": "date-time"}, {"pattern": DURATION}],
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
    if not re.fullmatch(TEXT, value):
        raise ValueError("must be text without control characters")
    return value


def parse_name(value: str) -> str:
    """Return the name of a pause. Raises ValueError."""
    if not NAME.fullmatch(value):
        raise ValueError(f"name {NAME_FORM}")
    return value


def parse_reason(value: str) -> str:
    """Return why somebody pauses, or takes a host out of service. Raises ValueError."""
    if not re.fullmatch(TEXT, value) or len(value) > LINE_CHARACTERS:
        raise ValueError(f"reason must be one line of at most {LINE_CHARACTERS} characters")
    return value


def parse_at(at: str | None) -> float | None:
    """Return an RFC 3339 time as unix time; None where none is given. Raises ValueError."""
    try:
        return None if at is None else moments.parse(at)
    except ValueError as error:
        raise ValueError("at must be an RFC 3339 time such as 2026-01-31T02:00:00Z") from error


def parse_end(until: str | None, lasts: str | None, now: float) -> float | None:
    """Return the unix time at which what begins ``now`` ends by itself; None: it does not.

    ``until`` is an RFC 3339 time, ``lasts`` a duration; one of them at most. Raises ValueError.
    """
    if until is not None and lasts is not None:
        raise ValueError("give one of until and for")
    if lasts is not None:
        if not re.fullmatch(DURATION, lasts):
            raise ValueError("for must be a duration such as 2h or 1d12h")
        return now + parse_duration(lasts)
    try:
        return None if until is None else moments.parse(until)
    except ValueError as error:
        raise ValueError("until must be an RFC 3339 time such as 2026-01-31T12:00:00Z") from error


def moment(now: Callable[[], float]) -> Callable[[str], float]:
    """Return a parser of an RFC 3339 time, or of a duration before ``now``, as unix time."""

    def parse(value: str) -> float:
        if re.fullmatch(DURATION, value):
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
    return Query(name, description, {"type": "string", "pattern": TEXT}, text)


def paging(default: int = 100) -> tuple[Query, ...]:
    """Return the parameters of a list that comes in pages."""
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": default}
    offset = {"type": "integer", "minimum": 0, "maximum": 10**9, "default": 0}
    return (
        Query("limit", "How many at most.", limit, whole(1, MAX_PAGE), default),
        Query("offset", "How many to pass over.", offset, whole(0, 10**9), 0),
    )
