"""Why an agent would or would not be restarted now: every guard, its verdict, and the facts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from memleash_responder.core.facts import AgentFacts, Host, Unknown
from memleash_responder.core.guards import deciding, refusals
from memleash_responder.core.libvirtd_choice import LibvirtdChoice
from memleash_responder.core.outcomes import Refusal
from memleash_responder.core.restarts import Restart
from memleash_responder.core.situation import Situation
from memleash_responder.core.storms import StormCount
from memleash_responder.settings import libvirtd_choices, restart_policy
from memleash_responder.usecases.agent_facts import read_agents
from memleash_responder.usecases.restart_situation import read_situation, seen
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.storm_breaker import count_hosts_over


@dataclasses.dataclass(frozen=True, slots=True)
class GuardVerdict:
    """One guard's word now; refusal None: it passes."""

    guard: str
    refusal: Refusal | None


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """What a request made now would meet."""

    verdicts: Sequence[GuardVerdict]
    situation: Situation
    storm_count: StormCount
    libvirtd: Mapping[str, LibvirtdChoice]
    """By controller: whether a reconnect would have it restart libvirtd, and who says so."""

    @property
    def refusal(self) -> Refusal | None:
        """What a request would meet first; None: it would be restarted."""
        return deciding([one.refusal for one in self.verdicts if one.refusal])

    @property
    def facts(self) -> dict[str, Any]:
        """The facts behind it as JSON."""
        return seen(self.situation) | {
            "reconnect": {name: dataclasses.asdict(one) for name, one in self.libvirtd.items()}
        }


def explain_host(services: Services, host: Host) -> dict[str, Explanation]:
    """Explain every agent of ``host``; its exporter is asked once for all of them."""
    return {
        agent: explain(services, host.name, agent, agent_facts=facts)
        for agent, facts in read_agents(services, host).items()
    }


def explain(
    services: Services, host: str, agent: str, *, agent_facts: AgentFacts | Unknown | None = None
) -> Explanation:
    """Run every guard for a known host and agent, on facts read afresh; change nothing.

    The exporter is asked unless ``agent_facts`` is what it has just said.
    """
    now = services.clock.now()
    restart = Restart("", host, agent, now)
    situation = read_situation(services, restart, None, agent_facts=agent_facts)
    policy = restart_policy(services.settings, agent)
    verdicts = [
        GuardVerdict(guard.name, refusal)
        for guard, refusal in refusals(None, situation, policy, now)
    ]
    known = services.outside.inventory.get(host)
    libvirtd = libvirtd_choices(services.settings, known, agent) if known else {}
    return Explanation(verdicts, situation, count_hosts_over(services), libvirtd)
