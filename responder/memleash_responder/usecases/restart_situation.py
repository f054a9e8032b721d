"""Reading the facts that the guards rest on, afresh, for one decision."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from memleash_responder.core import situation as reads
from memleash_responder.core.denials import Denial
from memleash_responder.core.facts import AgentFacts, ControllerTasks, Unknown, shown
from memleash_responder.core.guards import is_read
from memleash_responder.core.host_states import HostFacts
from memleash_responder.core.moments import Stamp
from memleash_responder.core.pauses import Pause, holding
from memleash_responder.core.restarts import Restart, SentCommand
from memleash_responder.core.situation import NOT_ASKED, Situation
from memleash_responder.core.steps import Step
from memleash_responder.settings import counted_seconds
from memleash_responder.usecases.agent_facts import read_agent, read_firing, read_hard_limit
from memleash_responder.usecases.host_states import KnownHosts, known_hosts, read_pings
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.storm_breaker import standing_storm


@dataclasses.dataclass(frozen=True, slots=True)
class Answers:
    """What exporter, Prometheus and controllers said, read for one look."""

    agent: AgentFacts | Unknown
    hard_limit_bytes: int | Unknown
    alerts_firing: tuple[str, ...] | Unknown
    tasks: tuple[ControllerTasks, ...] | Unknown = NOT_ASKED


@dataclasses.dataclass(frozen=True, slots=True)
class StoredFacts:
    """What the database says that guards rest on, of all hosts, read for one look."""

    pauses: tuple[Pause, ...]
    """Those that hold."""
    storm: str | None
    denials: Mapping[tuple[str, str], Denial]
    """By host and agent."""
    quarantined: Mapping[tuple[str, str], tuple[float, str]]
    """By host and agent: since when, and why."""
    hosts: KnownHosts
    agent_restart_ages: Mapping[tuple[str, str], tuple[float, ...]]
    """By host and agent: how long ago, in seconds, each command was sent."""
    fleet_restart_ages: tuple[float, ...]

    def situation(
        self,
        restart: Restart,
        answers: Answers,
        admitted_life: float | None = None,
        *,
        host: HostFacts | None = None,
    ) -> Situation:
        """Return the situation of a restart: the one place where it is put together.

        ``host`` is what its controllers have just said; None: what is stored of their words.
        """
        key = (restart.host, restart.agent)
        return Situation(
            restart=restart,
            agent=answers.agent,
            hard_limit_bytes=answers.hard_limit_bytes,
            pauses=self.pauses,
            denial=self.denials.get(key),
            quarantined=key in self.quarantined,
            host=host or self.hosts.facts(restart.host),
            agent_restart_ages=self.agent_restart_ages.get(key, ()),
            fleet_restart_ages=self.fleet_restart_ages,
            storm=self.storm,
            alerts_firing=answers.alerts_firing,
            admitted_life=admitted_life,
            tasks=answers.tasks,
        )


def stored_facts(services: Services, *, but: str | None = None) -> StoredFacts:
    """Read it, without the command that request ``but`` sent. Raises DatabaseUnavailable."""
    tables = services.tables
    now = services.clock.stamp()
    sent = tables.sent_commands.sent(counted_seconds(services.settings), now, but=but)
    of_agents, of_fleet = _ages(sent, now)
    return StoredFacts(
        pauses=holding(tables.pauses.all(), now.at),
        storm=standing_storm(tables.flags.all()),
        denials=tables.denials.all(),
        quarantined=tables.quarantine.all(),
        hosts=known_hosts(services),
        agent_restart_ages=of_agents,
        fleet_restart_ages=of_fleet,
    )


def read_situation(
    services: Services,
    restart: Restart,
    step: Step | None,
    admitted_life: float | None = None,
    *,
    agent_facts: AgentFacts | Unknown | None = None,
) -> Situation:
    """Return the facts for a decision at ``step`` (None: all of them, for ``explain``).

    The exporter is asked unless ``agent_facts`` is what it has just said. Controllers are asked
    only where a guard of the step looks at tasks. Raises DatabaseUnavailable alone: what else
    cannot be read becomes Unknown.
    """
    outside = services.outside
    host = outside.inventory.get(restart.host)
    agent: AgentFacts | Unknown | None
    limit: int | Unknown
    tasks: tuple[ControllerTasks, ...] | Unknown = NOT_ASKED
    if host is None:
        agent = limit = tasks = Unknown(f"host {restart.host} is not in the inventory")
    else:
        agent = agent_facts
        if agent is None:
            agent = read_agent(services, host, restart.agent)
        limit = read_hard_limit(services, host, restart.agent, agent)
        if is_read(reads.tasks, step):
            tasks = outside.controllers.tasks(host, restart.agent)
    stored = stored_facts(services, but=restart.id)
    facts = stored.hosts.facts(restart.host)
    if host is not None and is_read(reads.controller_states, step):
        facts = dataclasses.replace(facts, controllers=outside.controllers.states(host))
    if host is not None and is_read(reads.pings, step):
        pings_fail = read_pings(services, restart.host, stored.hosts)
        facts = dataclasses.replace(facts, pings_fail=pings_fail)
    answers = Answers(agent, limit, read_firing(services, restart.agent), tasks)
    return stored.situation(restart, answers, admitted_life, host=facts)


def with_sent(situation: Situation, sent: Sequence[SentCommand], now: Stamp) -> Situation:
    """Return ``situation`` with the ages of the commands that other requests ``sent``."""
    of_agents, of_fleet = _ages(sent, now)
    return dataclasses.replace(
        situation,
        agent_restart_ages=of_agents.get((situation.restart.host, situation.restart.agent), ()),
        fleet_restart_ages=of_fleet,
    )


def _ages(
    sent: Sequence[SentCommand], now: Stamp
) -> tuple[Mapping[tuple[str, str], tuple[float, ...]], tuple[float, ...]]:
    """Return how long ago commands were sent, in seconds: to each host's agent, and to any."""
    of_agents: dict[tuple[str, str], tuple[float, ...]] = {}
    for host, agent, at in sent:
        of_agents[host, agent] = (*of_agents.get((host, agent), ()), at.age_seconds(now))
    return of_agents, tuple(at.age_seconds(now) for _, _, at in sent)


def seen(situation: Situation) -> dict[str, Any]:
    """Return the facts of a situation as JSON, for the history and ``explain``."""
    limit, tasks = situation.hard_limit_bytes, situation.tasks
    host, pings = reads.standing(situation), situation.host.pings_fail
    firing = situation.alerts_firing
    return {
        "agent": agent_seen(situation.agent),
        "hard_limit_bytes": _unknown(limit) if isinstance(limit, Unknown) else limit,
        "host_state": host.state,
        "host_state_reason": host.reason or None,
        "pings_fail": _unknown(pings) if isinstance(pings, Unknown) else pings,
        "controller_states": {
            one.controller: _unknown(one.state) if isinstance(one.state, Unknown) else one.state
            for one in situation.host.controllers
        },
        "pauses": [dataclasses.asdict(pause) for pause in situation.pauses],
        "storm": situation.storm,
        "quarantined": situation.quarantined,
        "alerts_firing": _unknown(firing) if isinstance(firing, Unknown) else list(firing),
        "tasks": _unknown(tasks) if isinstance(tasks, Unknown) else [*map(_tasks_seen, tasks)],
    }


def agent_seen(agent: AgentFacts | Unknown) -> dict[str, Any]:
    """Return what was seen of an agent as JSON; what is not known of it is null."""
    if isinstance(agent, Unknown):
        return _unknown(agent)
    return {field.name: shown(getattr(agent, field.name)) for field in dataclasses.fields(agent)}


def _unknown(fact: Unknown) -> dict[str, Any]:
    return {"unknown": fact.why}


def _tasks_seen(tasks: ControllerTasks) -> dict[str, Any]:
    running = tasks.running
    return {
        "controller": tasks.controller,
        "running": _unknown(running)
        if isinstance(running, Unknown)
        else [dataclasses.asdict(task) for task in running],
        "more": tasks.more,
    }
