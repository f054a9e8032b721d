"""Alertmanager's matchers: parsed from amtool's notation, and checked for what they are to do.

Source: https://prometheus.io/docs/alerting/latest/configuration/#matcher. Regular expressions
are anchored there, so they are here.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping

_NOTATION = re.compile(
    r"\s*(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)\s*(?P<operator>=~|!~|!=|=)\s*(?P<value>.*?)\s*", re.DOTALL
)

_ONE = re.compile(r'(?:[^",]|"(?:\\.|[^"\\])*")+')
_LIST = re.compile(rf"{_ONE.pattern}(?:,{_ONE.pattern})*")


@dataclasses.dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True
    """False: the label must differ, or must not match."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with ``labels`` fulfils this; a label that is not there is empty."""
        value = labels.get(self.name, "")
        hit = re.fullmatch(self.value, value) is not None if self.is_regex else value == self.value
        return hit is self.is_equal

    def __str__(self) -> str:
        """Return this in amtool's notation."""
        operator = "=" if self.is_equal else "!="
        if self.is_regex:
            operator = "=~" if self.is_equal else "!~"
        return f"{self.name}{operator}{json.dumps(self.value, ensure_ascii=False)}"


def parse_matcher(text: str) -> Matcher:
    """Return ``alertname="X"``, ``a!="b"``, ``a=~"b|c"`` or ``a!~"b"`` as a Matcher.

    Quotes may be left out. Raises ValueError that says what is allowed.
    """
    found = _NOTATION.fullmatch(text)
    if found is None:
        raise ValueError('must be a matcher such as alertname="HostPingFailed"')
    value = _unquoted(found["value"])
    operator = found["operator"]
    if "~" in operator:
        if "[:" in value:  # Alertmanager knows POSIX classes, and Python reads them otherwise
            raise ValueError("must have a class such as [[:alpha:]] written out, as [A-Za-z]")
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"must have a regular expression that is one: {error}") from error
    return Matcher(found["name"], value, "~" in operator, not operator.startswith("!"))


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """Return ``a="b",c=~"d|e"``, all of which are to match, as Matchers. Raises ValueError."""
    if not _LIST.fullmatch(text):
        raise ValueError('must be matchers such as severity="critical",team="storage"')
    return tuple(parse_matcher(part) for part in _ONE.findall(text))


def check_blocking_matchers(matchers: Iterable[Matcher]) -> None:
    """Refuse what ALERTS is asked with anyway. Raises ValueError."""
    for matcher in matchers:
        if matcher.name in ("alertstate", "__name__"):
            raise ValueError(f"a matcher on {matcher.name} is not allowed: what fires counts")


def check_mute_matchers(matchers: Iterable[Matcher], triggers: Iterable[str]) -> None:
    """Refuse matchers that could silence the responder's own triggers, or choose the host.

    Some matcher must be on ``alertname`` and miss every trigger: a matcher on any other label
    may hold for a trigger too, since its labels are the rules' to choose. Raises ValueError.
    """
    every = tuple(matchers)
    if any(matcher.name == "host" for matcher in every):
        raise ValueError("a matcher on host is not allowed: the muted host is added by itself")
    on_name = [matcher for matcher in every if matcher.name == "alertname"]
    if not on_name:
        raise ValueError(
            "there must be a matcher on alertname: without one, every alert of the host,"
            " its restart included, would be silenced"
        )
    for trigger in triggers:
        if all(matcher.matches({"alertname": trigger}) for matcher in on_name):
            raise ValueError(
                f"these matchers would silence {trigger}, which the responder itself acts on;"
                " name the ping's alert alone"
            )


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        if '"' in value:
            raise ValueError("must have a quote at both ends of the value")
        return value
    try:
        plain = json.loads(value)
    except ValueError as error:
        raise ValueError(f"must have a value that is quoted text: {error}") from error
    return str(plain)
