"""What a host's exporter says about its agents, read afresh.

A value that cannot be believed (not a number, infinite, negative, neither 0 nor 1 where only
these mean something, of another time) is Unknown, as is one that is missing: never zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from memleash_responder.adapters.http import client as http
from memleash_responder.core import moments, untrusted
from memleash_responder.core.facts import AgentFacts, Host, Unknown
from memleash_responder.errors import FactsUnavailable
from memleash_responder.settings import Exporter

_SCRAPE_BYTES = 2 * 1024 * 1024
_LINE_CHARACTERS = 4096
"""More than any scrape of ours; the parser's time grows with the square of a line's length."""


class ExporterClient:
    """Scrapes exporters at the addresses that stand in the inventory."""

    def __init__(self, settings: Exporter) -> None:
        self._settings = settings
        self._session = http.session(settings)

    def scrape(
        self, host: Host, *, timeout_seconds: float | None = None
    ) -> Mapping[str, AgentFacts]:
        """Return the facts of each agent that ``host`` publishes. Raises FactsUnavailable.

        Without ``timeout_seconds`` the configured timeout holds.
        """
        settings = self._settings
        url = f"{settings.scheme}://{host.exporter_address}{settings.metrics_path}"
        try:
            answer = http.request(
                self._session,
                "GET",
                url,
                timeout_seconds=settings.timeout if timeout_seconds is None else timeout_seconds,
                max_bytes=_SCRAPE_BYTES,
                headers={"Accept": "text/plain;version=0.0.4"},
            )
        except http.HttpError as error:
            raise FactsUnavailable(f"exporter of {host.name}: {error}") from error
        if answer.status != 200:
            raise FactsUnavailable(f"exporter of {host.name}: {answer.describe()}")
        try:
            return agent_facts(answer.body.decode("utf-8"))
        except ValueError as error:
            raise FactsUnavailable(f"exporter of {host.name}: {url}: {error}") from error

    def facts(self, host: Host, agent: str, *, timeout_seconds: float | None = None) -> AgentFacts:
        """Return what ``host`` says about ``agent`` now. Raises FactsUnavailable."""
        return of_agent(self.scrape(host, timeout_seconds=timeout_seconds), host, agent)


def of_agent(scraped: Mapping[str, AgentFacts], host: Host, agent: str) -> AgentFacts:
    """Return what a scrape of ``host`` says about ``agent``. Raises FactsUnavailable."""
    if agent not in scraped:
        published = untrusted.listed(sorted(scraped)) or "none"
        raise FactsUnavailable(
            f"exporter of {host.name}: publishes no agent {agent!r}; "
            f"it has {published}; add it to the exporter's agents"
        )
    return scraped[agent]


def agent_facts(text: str) -> dict[str, AgentFacts]:
    """Return the facts of each agent in a scrape's ``text``. Raises ValueError."""
    fields: dict[str, dict[str, object]] = {}
    for name, agent, value in _samples(text):
        known = fields.setdefault(agent, {})
        if name in known and known[name] != value:
            raise ValueError(f"{name} is there twice for agent {agent!r}, with different values")
        known[name] = value
    return {agent: _facts(values) for agent, values in fields.items()}


def _samples(text: str) -> list[tuple[str, str, object]]:
    if any(len(line) > _LINE_CHARACTERS for line in text.splitlines()):
        raise ValueError(f"has a line of more than {_LINE_CHARACTERS} characters")
    try:
        return [
            # A sample with a time of its own is none of now: the exporter writes none.
            (
                sample.name,
                sample.labels["agent"],
                sample.value if sample.timestamp is None else None,
            )
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name in _READ and "agent" in sample.labels
        ]
    except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
        # The parser has no error of its own: it falls over where the text is not what it expects.
        raise ValueError(
            f"is not the Prometheus text format: {untrusted.line(str(error))}"
        ) from error


def _facts(values: Mapping[str, object]) -> AgentFacts:
    believed: dict[str, Any] = {}
    for name, (field, believe) in _FIELDS.items():
        if name in values:
            value = believe(values[name])
            absurd = Unknown(f"the exporter's {name} cannot be believed")
            believed[field] = absurd if value is None else value
    if _LIMITED not in values and "resident_bytes" in believed:
        believed["limited_bytes"] = _limited_by_older(values, believed["resident_bytes"])
    return AgentFacts(**believed)


def _limited_by_older(values: Mapping[str, object], resident_bytes: object) -> object:
    """Return what the limits are held against, where no metric of its own says so.

    An exporter that is older than that metric holds them against RSS. A newer one leaves it out
    when it cannot tell it, and then its sample is no success.
    """
    if values.get(_SUCCESS, 1) != 1:
        return Unknown(f"the exporter cannot tell {_LIMITED}; its log says why")
    return resident_bytes


_LIMITED = "memleash_agent_limited_memory_bytes"
_SUCCESS = "memleash_agent_sample_success"
_FIELDS: dict[str, tuple[str, Callable[[object], object]]] = {
    "memleash_agent_up": ("up", untrusted.truth),
    "memleash_agent_start_time_seconds": ("start_time", moments.unix_seconds),
    "memleash_agent_resident_memory_bytes": ("resident_bytes", untrusted.size_bytes),
    _LIMITED: ("limited_bytes", untrusted.size_bytes),
    "memleash_agent_memory_alarm_threshold_bytes": ("alarm_threshold_bytes", untrusted.size_bytes),
    "memleash_agent_memory_hard_limit_bytes": ("hard_limit_bytes", untrusted.size_bytes),
    "memleash_agent_busy": ("busy", untrusted.truth),
    "memleash_agent_ready": ("ready", untrusted.truth),
}
_READ = frozenset({*_FIELDS, _SUCCESS})
