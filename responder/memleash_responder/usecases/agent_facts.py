"""What exporter and Prometheus say of agents now; whoever is silent makes a fact unknown."""

from __future__ import annotations

from collections.abc import Collection

from memleash_responder.adapters.exporter import of_agent
from memleash_responder.core.facts import AgentFacts, Host, Unknown
from memleash_responder.errors import FactsUnavailable
from memleash_responder.settings import restart_policy
from memleash_responder.usecases.services import Services


def read_agent(
    services: Services, host: Host, agent: str, *, timeout_seconds: float | None = None
) -> AgentFacts | Unknown:
    """Return what the host's exporter says of ``agent`` now."""
    try:
        return services.outside.exporter.facts(host, agent, timeout_seconds=timeout_seconds)
    except FactsUnavailable as error:
        return Unknown(str(error))


def read_agents(
    services: Services,
    host: Host,
    agents: Collection[str] | None = None,
    *,
    timeout_seconds: float | None = None,
) -> dict[str, AgentFacts | Unknown]:
    """Return what the host's exporter, asked once, says of ``agents`` now; None: all configured."""

    def of(agent: str) -> AgentFacts | Unknown:
        try:
            return of_agent(scraped, host, agent)
        except FactsUnavailable as error:
            return Unknown(str(error))

    if agents is None:
        agents = services.settings.agents
    try:
        scraped = services.outside.exporter.scrape(host, timeout_seconds=timeout_seconds)
    except FactsUnavailable as error:
        return dict.fromkeys(agents, Unknown(str(error)))
    return {agent: of(agent) for agent in agents}


def read_hard_limit(
    services: Services, host: Host, agent: str, facts: AgentFacts | Unknown
) -> int | Unknown:
    """Return the effective hard limit in bytes: the host's override, or what the rules say."""
    if isinstance(facts, AgentFacts) and facts.hard_limit_bytes is not None:
        return facts.hard_limit_bytes
    try:
        now = services.clock.now()
        return services.outside.prometheus.hard_limit_bytes(host.name, agent, now)
    except FactsUnavailable as error:
        return Unknown(str(error))


def read_firing(services: Services, agent: str) -> tuple[str, ...] | Unknown:
    """Return the alerts that hold restarts of the configured ``agent`` back while they fire."""
    selectors = restart_policy(services.settings, agent).block_while_firing
    if not selectors:
        return ()
    try:
        return services.outside.prometheus.firing(selectors, services.clock.now())
    except FactsUnavailable as error:
        return Unknown(str(error))
