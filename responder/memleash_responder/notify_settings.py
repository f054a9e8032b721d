"""Whom to tell of what the responder did: the ``notify`` section of the configuration."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from memleash_responder.core.notices import Event
from memleash_toolkit.values import Command, Duration, Name, OneOrMore

TITLE = "memleash: {{ event }}{% if agent %}: {{ agent }} on {{ host }}{% endif %}"
BODY = """\
{% if event == "restarted" %}{{ agent }} on {{ host }} was restarted and is ready.
{% elif event == "failed" %}The restart of {{ agent }} on {{ host }} failed ({{ outcome }}).
{% elif event == "refused" %}{{ agent }} on {{ host }} is not restarted ({{ outcome }}).
{% elif event == "approval" %}A restart of {{ agent }} on {{ host }} waits for an approval.
{% elif event == "quarantined" %}{{ agent }} on {{ host }} is quarantined: no more restarts.
{% elif event == "storm" %}The storm breaker is open: nothing is restarted.
{% endif %}{{ reason }}
{{ url }}"""
EVERYTHING_BUT_REFUSALS = tuple(event for event in Event if event is not Event.REFUSED)

ENVIRONMENT = SandboxedEnvironment(undefined=jinja2.StrictUndefined)
"""Templates see a notice's values and nothing else."""
FIELDS = ("event", "host", "agent", "outcome", "reason", "url", "at")
"""What a template may name. ``url`` is the responder's page, empty without ``links.responder``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Notify:
    """One place where people are told, by an Apprise URL."""

    name: Name
    url_file: Path
    """Its first line is the URL, which holds credentials. Read at each use."""
    on: OneOrMore[Event] = EVERYTHING_BUT_REFUSALS
    title: Command = TITLE
    body: Command = BODY
    timeout: Duration = Duration(10)

    def __post_init__(self) -> None:
        for key in ("title", "body"):
            _check(key, getattr(self, key))


def rendered(template: str, values: dict[str, str]) -> str:
    """Return ``template`` (Jinja2) filled in with the ``values`` of FIELDS."""
    return ENVIRONMENT.from_string(template).render(values).strip()


def _check(key: str, template: str) -> None:
    try:
        for event in Event:
            rendered(template, {**dict.fromkeys(FIELDS, "x"), "event": event})
    except (jinja2.TemplateError, ArithmeticError, TypeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{key}: {why:.200}; allowed names: {', '.join(FIELDS)}") from error
