"""Evidence in the middle of a restart: taken quickly or not at all.

The host is held and its pings are muted by the restart itself, so no busy marker is needed; and
whatever goes wrong here is a line in the record, for the restart must not wait long and must not
fail.
"""

from __future__ import annotations

import dataclasses
import logging
import time

from memleash_responder.adapters.database.diagnoses import Diagnosis
from memleash_responder.adapters.diagnoser import Diagnoser, DiagnoserError, State
from memleash_responder.adapters.diagnoser_program import Plan, Verb
from memleash_responder.adapters.reports import BadReport
from memleash_responder.core.diagnosis_rounds import SHARE_OF_THE_TIME, within
from memleash_responder.core.diagnosis_settings import Diagnose
from memleash_responder.core.facts import Host
from memleash_responder.core.progress import Progress
from memleash_responder.core.restarts import Restart
from memleash_responder.errors import SshError
from memleash_responder.usecases.diagnosis_plan import plan_of
from memleash_responder.usecases.diagnosis_requests import settings_of
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
ANY_SIZE = 2**62
"""Stacks and facts cost the same however large the agent is."""


def before_restart(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Take evidence where it is configured, within ``before_restart_timeout``; never refuse.

    1. Where a life must have evidence, an open diagnosis is waited for, and one that was taken
    will do. 2. Else stacks and facts are taken now, and rounds where the agent is small enough.
    """
    settings = settings_of(services, restart.agent)
    host = services.outside.inventory.get(restart.host)
    if settings is None or host is None:
        return progress
    if not (settings.before_restart or settings.require_evidence):
        return progress
    until = time.monotonic() + settings.before_restart_timeout
    try:
        taken = _taken_before(services, restart, settings, progress.life, until)
        if not taken:
            plan = _plan(restart, settings, progress)
            taken = _take(services, host, restart, settings.python, plan, until=until)
    except (SshError, DiagnoserError, BadReport, OSError) as error:
        taken = f"not taken: {error}"
        log.warning("no evidence before restart", extra={"id": restart.id, "reason": str(error)})
    services.tables.restarts.note(restart.id, {"evidence": taken})
    return progress


def _taken_before(
    services: Services, restart: Restart, settings: Diagnose, life: float, until: float
) -> str:
    """Return the name of the report that this life has, or soon has; empty: it has none."""
    if not settings.require_evidence:
        return ""
    diagnoses = services.tables.diagnoses
    opened = diagnoses.open_on(restart.host)
    while opened and opened.agent == restart.agent and time.monotonic() < until:
        services.sleep(POLL_SECONDS)
        opened = diagnoses.open_on(restart.host)
    found = diagnoses.report_of(restart.host, restart.agent, life)
    return found.report if found else ""


def _take(
    services: Services, host: Host, restart: Restart, python: str, plan: Plan, *, until: float
) -> str:
    """Begin, wait, fetch, clean up; return the report's name. Raises what its parts raise."""
    diagnoser = Diagnoser(services.outside.ssh, lambda: max(1.0, until - time.monotonic()))
    answer = diagnoser.tell(host, Verb.START, plan, python)
    try:
        while answer.state is State.RUNNING and time.monotonic() < until:
            services.sleep(POLL_SECONDS)
            answer = diagnoser.tell(host, Verb.STATUS, plan, python)
        if answer.state is not State.DONE:
            why = f": {answer.refusal}: {answer.detail}" if answer.refusal else ""
            raise DiagnoserError(f"{host.name}: the diagnoser's state is {answer.state}{why}")
        tar = diagnoser.fetch(host, plan, python)
    finally:
        diagnoser.tell(host, Verb.STOP, plan, python)
    put = services.outside.reports.put(
        restart.host, restart.agent, services.clock.now(), tar, plan.max_report_bytes
    )
    diagnoser.tell(host, Verb.CLEAN, plan, python)
    return put.time


def _plan(restart: Restart, settings: Diagnose, progress: Progress) -> Plan:
    life = progress.life
    diagnosis = Diagnosis(restart.id, restart.host, restart.agent, restart.requested_at, life=life)
    seconds = settings.before_restart_timeout * SHARE_OF_THE_TIME
    rounds = within(settings, seconds / 2, "before a restart")
    small = settings.require_evidence and progress.resident_bytes <= settings.max_rss
    return dataclasses.replace(
        plan_of(diagnosis, settings),
        rounds=rounds.count if small else 0,
        interval_seconds=rounds.interval_seconds,
        max_seconds=seconds,
        max_rss_bytes=ANY_SIZE,
        marker_root="",
    )
