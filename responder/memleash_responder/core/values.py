"""The kinds of value that only the responder's configuration has, beside those of the toolkit."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from memleash_responder.core.matchers import check_blocking_matchers, parse_matcher, parse_matchers
from memleash_responder.core.restart_windows import parse_window, parse_zone
from memleash_toolkit.addresses import parse_url_path, parse_url_template
from memleash_toolkit.values import Parser, parse_line, parse_text

_DATABASE_FORM = (
    "must be sqlite:///relative or sqlite:////absolute with the path of a file, or "
    "postgresql://user@host:port/name"
)


def _url_template(value: object) -> str:
    return parse_url_template(parse_text(value), ("host", "agent"))


def _url_template_of_hosts(value: object) -> str:
    return parse_url_template(parse_text(value), ("host",))


def _url_path(value: object) -> str:
    return parse_url_path(parse_text(value))


def _window(value: object) -> str:
    return parse_window(parse_text(value)).text


def _time_zone(value: object) -> str:
    try:
        return parse_zone(parse_line(value)).key
    except ValueError as error:
        raise ValueError("must be a time zone, like Europe/Berlin or UTC") from error


def _matcher(value: object) -> str:
    parse_matcher(parse_line(value))
    return str(value)


def _selector(value: object) -> str:
    matchers = parse_matchers(parse_text(value))
    check_blocking_matchers(matchers)
    return ",".join(map(str, matchers))


def _database_url(value: object) -> str:
    text = parse_line(value)
    path = text.removeprefix("sqlite:///")
    if path != text and path.strip("/") and path != ":memory:" and "?" not in path:
        return text
    if not text.startswith("postgresql://"):
        raise ValueError(_DATABASE_FORM)
    try:
        urlsplit(text).port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise ValueError(f"{_DATABASE_FORM}: {error}") from error
    return text


UrlTemplate = Annotated[str, Parser(_url_template)]
"""A URL in which ``{host}`` and ``{agent}`` are filled in."""

HostUrlTemplate = Annotated[str, Parser(_url_template_of_hosts)]
"""A URL in which ``{host}`` is filled in."""

WindowText = Annotated[str, Parser(_window)]
"""Days, hours and a time zone: see core.restart_windows."""

TimeZone = Annotated[str, Parser(_time_zone)]
"""The name of a time zone, as IANA has it."""

MatcherText = Annotated[str, Parser(_matcher)]
"""A matcher in amtool's notation: see core.matchers."""

AlertSelector = Annotated[str, Parser(_selector)]
"""Matchers of alerts, all of which have to match, as they stand between the braces of PromQL."""

UrlPath = Annotated[str, Parser(_url_path)]
"""What follows host and port in a URL."""

DatabaseUrl = Annotated[str, Parser(_database_url)]
"""Where the responder remembers. A password in it never stands in a message."""
