"""Requests for a diagnosis: opened by an alert, looked at, then queued or refused."""

from __future__ import annotations

import logging
from collections.abc import Callable

from responder.adapters.database.diagnoses import Diagnosis
from responder.adapters.database.requests import new_id
from responder.core.alerts import Alert
from responder.core.facts import AgentFacts
from responder.core.outcomes import HostState
from responder.diagnose import policy
from responder.diagnose.policy import Diagnose, Refusal, Situation, Verdict
from responder.usecases.services import PAUSED, Services
from responder.usecases.situation import read_agent

log = logging.getLogger(__name__)


class Diagnosing:
    """The way into the queue of diagnoses, and their final words."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def ask(self, alert: Alert) -> Diagnosis | None:
        """Open a diagnosis for a firing alert; None: there is nothing new to do.

        A final word stands for ``guards.retry_after``, and a life that had its diagnosis is not
        even asked about; while one is open on the host, a second one is not opened.
        """
        services, now = self._services, self._services.clock.now()
        agent = services.settings.agents[alert.agent]
        if agent.diagnose is None:
            return None
        last = services.memory.diagnoses.last_of(alert.host, alert.agent)
        if last is not None and now - (last.finished_at or now) < agent.guards.retry_after:
            return None
        new = Diagnosis(new_id(), alert.host, alert.agent, requested_at=now)
        return new if services.memory.diagnoses.open(new) else None

    def consider(self, diagnosis_id: str, enqueue: Callable[[str], None]) -> None:
        """Look at an open diagnosis: queue it, or give it its final word."""
        diagnosis = self._services.memory.diagnoses.get(diagnosis_id)
        if diagnosis is None or diagnosis.verdict is not None:
            return
        refusal, _ = judge(self._services, diagnosis)
        if refusal is None:
            enqueue(diagnosis_id)
        else:
            self.finish(diagnosis_id, refusal.verdict, refusal.reason)

    def finish(self, diagnosis_id: str, verdict: Verdict, reason: str, artifact: str = "") -> None:
        """Give a diagnosis its final word, once; it is logged and counted with the same word."""
        memory = self._services.memory.diagnoses
        diagnosis = memory.get(diagnosis_id)
        if diagnosis is None or not memory.finish(
            diagnosis_id, verdict, reason, artifact, self._services.clock.now()
        ):
            return
        self._services.telemetry.diagnoses.labels(diagnosis.agent, verdict).inc()
        log.info(
            "diagnosis ended",
            extra={
                "host": diagnosis.host,
                "agent": diagnosis.agent,
                "verdict": verdict,
                "reason": reason,
                "id": diagnosis_id,
            },
        )


def settings_of(services: Services, agent: str) -> Diagnose | None:
    """Return how ``agent`` is to be diagnosed, as the configuration says now."""
    configured = services.settings.agents.get(agent)
    return configured.diagnose if configured else None


def judge(services: Services, diagnosis: Diagnosis) -> tuple[Refusal | None, float | None]:
    """Read everything afresh; return why not to diagnose, and the life there is."""
    host = services.outside.inventory.get(diagnosis.host)
    if host is None:
        return Refusal(Verdict.UNKNOWN_HOST, "the host left the inventory"), None
    if diagnosis.agent not in services.settings.agents:
        return Refusal(Verdict.UNKNOWN_AGENT, "the agent is not configured any more"), None
    facts = read_agent(services, host, diagnosis.agent)
    connecting = services.memory.hosts.get(host.name).state is HostState.CONNECTING
    situation = Situation(
        agent=facts,
        mode=services.settings.agents[diagnosis.agent].mode,
        paused=PAUSED in services.memory.flags.all(),
        diagnosed_lives=services.memory.diagnoses.lives_of(
            diagnosis.host, diagnosis.agent, but=diagnosis.id
        ),
        under_way="a restart holds the host" if connecting else None,
    )
    life = facts.start_time if isinstance(facts, AgentFacts) else None
    return policy.refusal(situation, settings_of(services, diagnosis.agent)), life
