"""What a step of a restart looks at before it acts.

Everything is read afresh at each look; the request itself is, too, since a person or the alert's
end may have changed it meanwhile.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from memleash_responder.core.facts import AgentFacts, Host, Unknown, same_life
from memleash_responder.core.guards import gone_past, refusal_at
from memleash_responder.core.moments import Stamp
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.policy import RestartPolicy
from memleash_responder.core.progress import Refused, Seen
from memleash_responder.core.restarts import Restart, SentCommand
from memleash_responder.core.situation import Memory, Situation
from memleash_responder.core.situation import memory as memory_of
from memleash_responder.core.steps import Step
from memleash_responder.settings import Agent, counted_seconds, restart_policy
from memleash_responder.usecases.agent_facts import read_agent
from memleash_responder.usecases.restart_situation import read_situation, seen, with_sent
from memleash_responder.usecases.services import Services

_LISTEN_SECONDS = 0.5
"""How often the old life is looked for."""


def host_of(services: Services, restart: Restart) -> Host:
    """Return the request's host as the inventory has it now. Raises Refused."""
    host = services.outside.inventory.get(restart.host)
    if host is None:
        raise Refused(Outcome.UNKNOWN_HOST, f"host {restart.host} left the inventory meanwhile")
    return host


def agent_of(services: Services, restart: Restart) -> Agent:
    """Return the configuration of the request's agent as it is now. Raises Refused."""
    agent = services.settings.agents.get(restart.agent)
    if agent is None:
        why = f"agent {restart.agent} left the configuration meanwhile"
        raise Refused(Outcome.UNKNOWN_AGENT, why)
    return agent


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What a look that found no reason against a restart saw."""

    memory: Memory
    seen: Seen


def look(services: Services, restart: Restart, step: Step, admitted_life: float | None) -> Look:
    """Read everything afresh and run the guards of ``step``. Raises Refused."""
    situation, policy = _see(services, restart, step, admitted_life)
    now = services.clock.now()
    refusal = refusal_at(step, situation, policy, now)
    told = {str(step): seen(situation) | past(gone_past(step, situation, policy, now))}
    if refusal is not None:
        raise Refused(refusal.outcome, refusal.reason, told)
    memory = memory_of(situation)
    if isinstance(memory, Unknown):  # a guard refuses it at every step; this is for the type
        raise Refused(Outcome.FACTS_UNAVAILABLE, memory.why, told)
    return Look(memory, told)


def look_and_send(services: Services, restart: Restart, admitted_life: float) -> tuple[Seen, Stamp]:
    """Look a last time, and note that the command is sent, and when. Raises Refused, Overtaken.

    What others sent is counted in the transaction that makes the note: two restarts that look
    at the same time do not share the last of the fleet's budget.
    """
    situation, policy = _see(services, restart, Step.RESTART, admitted_life)

    def refuse(sent: Sequence[SentCommand], now: Stamp) -> Refusal | None:
        return refusal_at(Step.RESTART, with_sent(situation, sent, now), policy, now.at)

    noted = services.tables.sent_commands.note_sent(
        restart,
        services.clock.stamp,
        refuse,
        life=admitted_life,
        counted_seconds=counted_seconds(services.settings),
    )
    passed = gone_past(Step.RESTART, situation, policy, services.clock.now())
    told = {str(Step.RESTART): seen(situation) | past(passed)}
    if isinstance(noted, Refusal):
        raise Refused(noted.outcome, noted.reason, told)
    return told, noted


def past(refusals: Iterable[Refusal]) -> dict[str, Any]:
    """Return, for the record, what a forced restart went past."""
    told = [dataclasses.asdict(refusal) for refusal in refusals]
    return {"gone_past": told} if told else {}


def _see(
    services: Services, restart: Restart, step: Step, admitted_life: float | None
) -> tuple[Situation, RestartPolicy]:
    """Read everything afresh, the request itself included. Raises Refused."""
    agent_of(services, restart)
    current = services.tables.restarts.get(restart.id) or restart
    situation = read_situation(services, current, step, admitted_life)
    return situation, restart_policy(services.settings, restart.agent)


def probe(
    services: Services,
    host: Host,
    agent: str,
    missing: Callable[[AgentFacts | Unknown], str | None],
) -> tuple[AgentFacts | Unknown, str | None]:
    """Look as often as the agent's readiness says, until nothing is ``missing``.

    Return what was seen last, and what it lacks; None: nothing.
    """
    readiness = services.settings.agents[agent].readiness
    facts: AgentFacts | Unknown = Unknown("it was not looked at")
    lacks: str | None = "it was not looked at"
    for number in range(readiness.probes):
        if number:
            services.sleep(readiness.interval)
        facts = read_agent(services, host, agent, timeout_seconds=readiness.timeout)
        lacks = missing(facts)
        if lacks is None:
            break
    return facts, lacks


def took_effect(
    services: Services, host: Host, restart: Restart, life: float, seconds: float
) -> bool:
    """Watch for ``seconds`` whether a command whose end was not seen ended the old life."""
    began = services.clock.stamp()
    while True:
        facts = read_agent(services, host, restart.agent)
        if isinstance(facts, AgentFacts):
            if facts.up is False:
                return True
            if not isinstance(facts.start_time, Unknown) and not same_life(facts.start_time, life):
                return True
        if began.age_seconds(services.clock.stamp()) >= seconds:
            return False
        services.sleep(_LISTEN_SECONDS)
