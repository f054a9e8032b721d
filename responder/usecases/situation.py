"""Reading the facts that the guards rest on, afresh, for one decision."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from responder.adapters.database.requests import NEWEST_COMMANDS, Restart, SentCommand
from responder.core.facts import AgentFacts, Host, Unknown
from responder.core.guards import Situation
from responder.core.outcomes import Step
from responder.core.stamps import Stamp
from responder.errors import FactsUnavailable
from responder.usecases.services import PAUSED, Services, standing_storm


def read_situation(
    services: Services,
    restart: Restart,
    step: Step | None,
    admitted_life: float | None = None,
) -> Situation:
    """Return the facts for a decision at ``step`` (None: all of them, for ``explain``).

    Controllers are asked only where the step looks at tasks. Raises DatabaseUnavailable alone:
    what else cannot be read becomes Unknown.
    """
    outside, memory = services.outside, services.memory
    host = outside.inventory.get(restart.host)
    if host is None:
        agent: AgentFacts | Unknown = Unknown(f"host {restart.host} is not in the inventory")
        return Situation(restart.request, agent, Unknown("the host is not in the inventory"))
    agent = read_agent(services, host, restart.agent)
    flags = memory.flags.all()
    asks_tasks = step in (Step.VERIFY, None) and not restart.forced
    situation = Situation(
        request=restart.request,
        agent=agent,
        hard_limit_bytes=read_hard_limit(services, host, restart.agent, agent),
        paused=PAUSED in flags,
        quarantined=(restart.host, restart.agent) in memory.quarantine.all(),
        host_state=memory.hosts.get(restart.host).state,
        storm=standing_storm(flags),
        admitted_life=admitted_life,
        tasks=outside.controllers.tasks(host, restart.agent) if asks_tasks else (),
    )
    sent = memory.requests.commands_sent(newest=NEWEST_COMMANDS, but=restart.id)
    return with_sent(situation, sent, services.clock.stamp())


def with_sent(situation: Situation, sent: Sequence[SentCommand], now: Stamp) -> Situation:
    """Return ``situation`` with the ages of the commands that other requests ``sent``."""
    key = (situation.request.host, situation.request.agent)
    return dataclasses.replace(
        situation,
        agent_restart_ages=tuple(
            at.age_seconds(now) for host, agent, at in sent if (host, agent) == key
        ),
        fleet_restart_ages=tuple(at.age_seconds(now) for _, _, at in sent),
    )


def read_agent(
    services: Services, host: Host, agent: str, *, timeout_seconds: float | None = None
) -> AgentFacts | Unknown:
    """Return what the host's exporter says of ``agent`` now."""
    try:
        return services.outside.exporter.facts(host, agent, timeout_seconds=timeout_seconds)
    except FactsUnavailable as error:
        return Unknown(str(error))


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


def seen(situation: Situation) -> dict[str, Any]:
    """Return the facts of a situation as JSON, for the history and ``explain``."""

    def plain(fact: object) -> object:
        return {"unknown": fact.why} if isinstance(fact, Unknown) else fact

    agent = situation.agent
    return {
        "agent": plain(agent) if isinstance(agent, Unknown) else dataclasses.asdict(agent),
        "hard_limit_bytes": plain(situation.hard_limit_bytes),
        "host_state": situation.host_state,
        "paused": situation.paused,
        "storm": situation.storm,
        "quarantined": situation.quarantined,
        "tasks": [
            {
                "controller": one.controller,
                "running": plain(one.running)
                if isinstance(one.running, Unknown)
                else [dataclasses.asdict(task) for task in one.running],
                "more": one.more,
            }
            for one in situation.tasks
        ],
    }
