"""Requests for a diagnosis: opened by an alert or a person, looked at, then queued or refused."""

from __future__ import annotations

import dataclasses
import json
import logging

from memleash_responder.adapters.database.diagnoses import Diagnosis
from memleash_responder.adapters.database.restarts import new_id
from memleash_responder.core.alerts import Alert
from memleash_responder.core.diagnoses import DiagnosisSituation, may_be_diagnosed
from memleash_responder.core.diagnosis_rounds import Rounds, rounds_for
from memleash_responder.core.diagnosis_settings import Diagnose
from memleash_responder.core.facts import Host, Process, Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.core.outcomes import REASON_CHARACTERS, Outcome, Refusal
from memleash_responder.core.pauses import holding
from memleash_responder.core.untrusted import line
from memleash_responder.errors import FactsUnavailable
from memleash_responder.usecases.agent_facts import read_agent, read_hard_limit
from memleash_responder.usecases.host_states import known_hosts
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

GROWTH_RULES = (
    "memleash:agent_memory_steady_growth_bytes_per_second",
    "memleash:agent_memory_growth_bytes_per_second",
)
"""The newest growth of an agent that is told of, else its slope of the past 10 minutes."""


class DiagnosisRequests:
    """The way into the queue of diagnoses, and their final words."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def ask(self, alert: Alert) -> Diagnosis | None:
        """Open a diagnosis for a firing alert; None: there is nothing new to do.

        A final word stands for ``guards.retry_after``, and a life that had its diagnosis is not
        even asked about; while one is open on the host, a second one is not opened. An alert that
        began before the agent was restarted is about a process that is gone.
        """
        services, now = self._services, self._services.clock.now()
        agent = services.settings.agents[alert.agent]
        if agent.diagnose is None:
            return None
        last = services.tables.diagnoses.last_of(alert.host, alert.agent)
        if last is not None and now - (last.finished_at or now) < agent.guards.retry_after:
            return None
        if services.tables.restart_history.restarted_since(
            alert.host, alert.agent, alert.starts_at
        ):
            return None
        new = Diagnosis(new_id(), alert.host, alert.agent, requested_at=now)
        return new if services.tables.diagnoses.open(new) else None

    def ask_for_person(self, host: str, agent: str, by: str) -> Diagnosis | None:
        """Open a diagnosis, or join the one of this agent; None: another agent's is open there."""
        services = self._services
        new = Diagnosis(new_id(), host, agent, services.clock.now(), by)
        if services.tables.diagnoses.open(new):
            return new
        opened = services.tables.diagnoses.open_on(host)
        return opened if opened is not None and opened.agent == agent else None

    def consider(self, diagnosis_id: str) -> None:
        """Look at an open diagnosis: queue it, or give it its final word."""
        diagnosis = self._services.tables.diagnoses.get(diagnosis_id)
        if diagnosis is None or diagnosis.outcome is not None:
            return
        judged = judge(self._services, diagnosis)
        if isinstance(judged, Refusal):
            self.finish(diagnosis_id, judged.outcome, judged.reason)
        else:
            self._services.tables.diagnoses.queue(diagnosis_id)

    def finish(self, diagnosis_id: str, outcome: Outcome, reason: str, report: str = "") -> None:
        """Give a diagnosis its final word, once; it is logged and counted with the same word."""
        diagnoses, reason = self._services.tables.diagnoses, line(reason, REASON_CHARACTERS)
        diagnosis = diagnoses.get(diagnosis_id)
        if diagnosis is None or not diagnoses.finish(
            diagnosis_id, outcome, reason, report, self._services.clock.now()
        ):
            return
        self._services.telemetry.diagnoses.labels(diagnosis.agent, outcome).inc()
        log.info(
            "diagnosis ended",
            extra={
                "host": diagnosis.host,
                "agent": diagnosis.agent,
                "outcome": outcome,
                "reason": reason,
                "pace": diagnosis.pace,
                "by": diagnosis.requested_by,
                "id": diagnosis_id,
            },
        )


def settings_of(services: Services, agent: str) -> Diagnose | None:
    """Return how ``agent`` is to be diagnosed, as the configuration says now."""
    configured = services.settings.agents.get(agent)
    return configured.diagnose if configured else None


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """What may be diagnosed now: a process, and how far it may still grow."""

    host: Host
    process: Process
    hard_limit_bytes: int | Unknown


def judge(services: Services, diagnosis: Diagnosis) -> Refusal | Subject:
    """Read everything afresh; return why not to diagnose, or what may be."""
    host = services.outside.inventory.get(diagnosis.host)
    if host is None:
        return Refusal(Outcome.UNKNOWN_HOST, "the host left the inventory")
    if diagnosis.agent not in services.settings.agents:
        return Refusal(Outcome.UNKNOWN_AGENT, "the agent is not configured any more")
    facts = read_agent(services, host, diagnosis.agent)
    standing = known_hosts(services, host.name).standing(host.name)
    situation = DiagnosisSituation(
        agent=facts,
        mode=services.settings.agents[diagnosis.agent].mode,
        pauses=holding(services.tables.pauses.all(), services.clock.now()),
        diagnosed_lives=services.tables.diagnoses.lives_of(
            diagnosis.host, diagnosis.agent, but=diagnosis.id
        ),
        maintenance=standing.reason if standing.state is HostState.MAINTENANCE else None,
        under_way="a restart holds the host" if standing.state is HostState.CONNECTING else None,
        asked_by_person=diagnosis.asked_by_person,
    )
    process = may_be_diagnosed(situation, settings_of(services, diagnosis.agent))
    if isinstance(process, Refusal):
        return process
    return Subject(host, process, read_hard_limit(services, host, diagnosis.agent, facts))


def rounds_of(services: Services, agent: str, settings: Diagnose, subject: Subject) -> Rounds:
    """Return how often to look at ``subject``, by the time that its growth leaves."""
    return rounds_for(
        settings,
        subject.process,
        _growth(services, subject.host.name, agent),
        subject.hard_limit_bytes,
    )


def _growth(services: Services, host: str, agent: str) -> float | Unknown:
    """Return the agent's growth in bytes per second, as the rules have it."""
    names = {"host": host, "agent": agent}
    labels = ",".join(
        f"{key}={json.dumps(name, ensure_ascii=False)}" for key, name in names.items()
    )
    expression = " or ".join(f"max by (host, agent) ({rule}{{{labels}}})" for rule in GROWTH_RULES)
    try:
        found = services.outside.prometheus.by_agent(expression)
    except FactsUnavailable as error:
        return Unknown(str(error))
    return found.get((host, agent), Unknown("Prometheus tells of no growth"))
