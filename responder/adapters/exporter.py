"""What a host's exporter says about its agents, read afresh.

A value that cannot be believed (not a number, infinite, negative, neither 0 nor 1 where only
these mean something) is None, as if there were no sample: unknown, never zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from responder.adapters import http
from responder.core.facts import AgentFacts, Host
from responder.errors import FactsUnavailable
from responder.settings import Exporter


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
        agents = self.scrape(host, timeout_seconds=timeout_seconds)
        if agent not in agents:
            raise FactsUnavailable(
                f"exporter of {host.name}: publishes no agent {agent!r}; "
                f"it has {', '.join(sorted(agents)) or 'none'}; add it to the exporter's agents"
            )
        return agents[agent]


def agent_facts(text: str) -> dict[str, AgentFacts]:
    """Return the facts of each agent in a scrape's ``text``. Raises ValueError."""
    fields: dict[str, dict[str, float]] = {}
    for name, agent, value in _samples(text):
        known = fields.setdefault(agent, {})
        if name in known and known[name] != value:
            raise ValueError(f"{name} is there twice for agent {agent!r}, with different values")
        known[name] = value
    return {agent: _facts(values) for agent, values in fields.items()}


def _samples(text: str) -> list[tuple[str, str, float]]:
    try:
        return [
            (sample.name, sample.labels["agent"], float(sample.value))
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name in _FIELDS and "agent" in sample.labels
        ]
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        # The parser has no error of its own: it falls over where the text is not what it expects.
        raise ValueError(f"is not the Prometheus text format: {error}") from error


def _facts(values: Mapping[str, float]) -> AgentFacts:
    believed: dict[str, Any] = {}
    for name, (field, believe) in _FIELDS.items():
        if name in values:
            believed[field] = believe(values[name])
    return AgentFacts(**believed)


def _seconds(value: float) -> float | None:
    return value if math.isfinite(value) and value >= 0 else None


def _bytes(value: float) -> int | None:
    return int(value) if math.isfinite(value) and value >= 0 else None


def _truth(value: float) -> bool | None:
    return {0.0: False, 1.0: True}.get(value)


_FIELDS: dict[str, tuple[str, Callable[[float], object]]] = {
    "memleash_agent_up": ("up", _truth),
    "memleash_agent_start_time_seconds": ("start_time", _seconds),
    "memleash_agent_resident_memory_bytes": ("resident_bytes", _bytes),
    "memleash_agent_memory_alarm_threshold_bytes": ("alarm_threshold_bytes", _bytes),
    "memleash_agent_memory_hard_limit_bytes": ("hard_limit_bytes", _bytes),
    "memleash_agent_busy": ("busy", _truth),
    "memleash_agent_ready": ("ready", _truth),
}
