"""The kinds of value that a settings file may hold, each with what is allowed.

A field of a settings class names one of these kinds, and its values are checked by it. Bare
``int`` and ``float`` are no kinds, so a number without bounds cannot be forgotten; durations and
sizes are over 0 unless their kind says otherwise.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NewType, TypeVar

from memleash_toolkit import addresses
from memleash_toolkit.units import parse_duration, parse_size

LARGEST_COUNT = 10**9

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}")
"""A name that can be a label, a segment of a URL and a file's name alike."""

NAME_FORM = "must be letters, digits and _.@- only, at most 128, beginning with a letter or digit"


@dataclasses.dataclass(frozen=True, slots=True)
class Parser:
    """How a kind of value is read: ``parse`` raises ValueError with what is allowed."""

    parse: Callable[[Any], object]
    is_secret: bool = False
    """The value never stands in a message."""


@dataclasses.dataclass(frozen=True, slots=True)
class AtLeastOne:
    """Marks a list that must not be empty."""


@dataclasses.dataclass(frozen=True, slots=True)
class ByKind:
    """Marks a mapping that is read as one of several classes: its key ``kind`` says which."""

    classes: Mapping[Any, type]
    """By what stands at ``kind``; each has a field of that name."""
    default: str
    """The kind of a mapping that does not say."""


def parse_text(value: object) -> str:
    """Return text that can be a file's name, an argument and a line of a log."""
    if not isinstance(value, str):
        raise ValueError("must be text")  # noqa: TRY004 - a bad value in a file
    if "\0" in value or (not value.isprintable() and any("\ud800" <= c <= "\udfff" for c in value)):
        raise ValueError("must be text without NUL or lone surrogates")
    return value


def _over_zero(parse: Callable[[object], Any]) -> Callable[[object], object]:
    def parsed(value: object) -> object:
        number = parse(value)
        if number > 0:
            return number
        raise ValueError("must be over 0")

    return parsed


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_COUNT:
        return value
    raise ValueError(f"must be a whole number from 1 to {LARGEST_COUNT}")


def _share(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
        return float(value)
    raise ValueError("must be a number over 0 and at most 1")


def _port(value: object) -> int:
    if isinstance(value, str):
        raise ValueError("must be a port from 1 to 65535, without quotes")  # noqa: TRY004 - as above
    return addresses.parse_port(value)


def parse_name(value: object) -> str:
    """Return the name of an agent, a controller or a token."""
    if NAME.fullmatch(parse_text(value)):
        return str(value)
    raise ValueError(NAME_FORM)


def parse_line(value: object) -> str:
    """Return text that stands on one line, with nothing that a terminal would act on."""
    text = parse_text(value)
    if text.strip() and text.isprintable():
        return text
    raise ValueError("must be one line of text, not empty")


def _word(value: object) -> str:
    text = parse_line(value)
    if " " not in text and not text.startswith("-"):
        return text
    raise ValueError("must be one word that does not begin with -")


def parse_command(value: object) -> str:
    """Return text that is not empty."""
    text = parse_text(value)
    if text.strip():
        return text
    raise ValueError("must not be empty")


def _secret(value: object) -> str:
    if isinstance(value, str) and value.isascii() and value.isprintable() and value.strip():
        return value
    raise ValueError("must be one line of plain ASCII text, not empty")


def _service(value: object) -> str:
    text = parse_text(value)
    if re.fullmatch(r"[A-Za-z0-9:_.@\\-]{1,247}\.service", text):
        return text
    raise ValueError("must be the name of a .service")


def _pattern(value: object) -> str:
    text = parse_text(value)
    try:
        greedy = re.search(text, "") is not None
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"must be a regular expression: {error}") from error
    if greedy:
        raise ValueError("must not match every process")
    return text


def _http_url(value: object) -> str:
    text = parse_text(value)
    addresses.parse_url(text)
    return text


def _host_and_port(value: object) -> str:
    text = parse_text(value)
    addresses.parse_host_and_port(text)
    return text


T = TypeVar("T")

OneOrMore = Annotated[tuple[T, ...], AtLeastOne()]
"""A list of at least one."""

Size = NewType("Size", int)
"""Bytes over 0, written as ``2GiB``."""

Duration = NewType("Duration", float)
"""Seconds over 0, written as ``5m``."""

SizeOrZero = Annotated[Size, Parser(parse_size)]
"""Bytes; 0 is none."""

DurationOrZero = Annotated[Duration, Parser(parse_duration)]
"""Seconds; 0s is none."""

Count = Annotated[int, Parser(_count)]
"""A whole number of things, at least one."""

Share = Annotated[float, Parser(_share)]
"""A part of a whole: over 0 and at most 1."""

Port = Annotated[int, Parser(_port)]
"""A port that one can connect to."""

Name = Annotated[str, Parser(parse_name)]
"""The name of an agent or the like: see NAME."""

Line = Annotated[str, Parser(parse_line)]
"""One line of text, not empty."""

Word = Annotated[str, Parser(_word)]
"""A line without blanks that no program takes for an option."""

Command = Annotated[str, Parser(parse_command)]
"""Text for a shell, not empty."""

Secret = Annotated[str, Parser(_secret, is_secret=True)]
"""What a header can carry and no message shows."""

Service = Annotated[str, Parser(_service)]
"""A systemd unit that runs a process."""

Pattern = Annotated[str, Parser(_pattern)]
"""A regular expression that is searched for in command lines; it does not match everything."""

HttpUrl = Annotated[str, Parser(_http_url)]
"""A whole http or https URL, without credentials."""

BaseUrl = Annotated[str, Parser(lambda value: addresses.parse_base_url(parse_text(value)))]
"""A URL that paths are put after."""

HostAndPort = Annotated[str, Parser(_host_and_port)]
"""``host:port``, or ``[IPv6]:port``."""

KINDS: dict[object, Parser] = {
    Size: Parser(_over_zero(parse_size)),
    Duration: Parser(_over_zero(parse_duration)),
    str: Parser(parse_text),
}
"""The kinds that are no Annotated."""
