"""Evidence in the middle of a restart: facts and stacks, taken quickly or not at all.

The host is held and its pings are muted by the restart itself, so no busy marker is needed; and
whatever goes wrong here is a line in the log, for the restart must not wait and must not fail.
"""

from __future__ import annotations

import dataclasses
import logging
import time

from responder.adapters.collector import Collector, CollectorError
from responder.adapters.database.diagnoses import Diagnosis
from responder.adapters.database.requests import Restart
from responder.core.facts import Host
from responder.diagnose.artifacts import BadReport
from responder.diagnose.policy import Diagnose
from responder.diagnose.shipping import Order, Verb
from responder.errors import SshError
from responder.usecases.diagnosing import settings_of
from responder.usecases.diagnosis import order_of
from responder.usecases.progress import Progress
from responder.usecases.services import Services

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
ANY_SIZE = 2**62
"""Stacks and facts cost the same however large the agent is."""


def before_restart(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Take evidence where it is configured, within ``before_restart_timeout``; never refuse."""
    settings = settings_of(services, restart.agent)
    host = services.outside.inventory.get(restart.host)
    if settings is None or host is None or not settings.before_restart:
        return progress
    try:
        taken = _take(services, host, restart, settings, progress.life)
    except (SshError, CollectorError, BadReport, OSError) as error:
        taken = f"not taken: {error}"
        log.warning("no evidence before restart", extra={"id": restart.id, "reason": str(error)})
    services.memory.requests.note(restart.id, {"evidence": taken})
    return progress


def _take(services: Services, host: Host, restart: Restart, settings: Diagnose, life: float) -> str:
    """Begin, wait, fetch, clean up; return the report's name. Raises what its parts raise."""
    order = _order(restart, settings, life)
    until = time.monotonic() + settings.before_restart_timeout
    collector = Collector(services.outside.ssh, lambda: max(1.0, until - time.monotonic()))
    answer = collector.tell(host, Verb.START, order, settings.python)
    try:
        while answer["state"] == "running" and time.monotonic() < until:
            services.sleep(POLL_SECONDS)
            answer = collector.tell(host, Verb.STATUS, order, settings.python)
        if answer["state"] != "done":
            raise CollectorError(f"{host.name}: the collector's state is {answer}")
        tar = collector.fetch(host, order, settings.python)
    finally:
        collector.tell(host, Verb.STOP, order, settings.python)
    put = services.settings.artifacts.store().put(
        restart.host, restart.agent, services.clock.now(), tar, order.max_report_bytes
    )
    collector.tell(host, Verb.CLEAN, order, settings.python)
    return put.time


def _order(restart: Restart, settings: Diagnose, life: float) -> Order:
    diagnosis = Diagnosis(restart.id, restart.host, restart.agent, restart.requested_at, life=life)
    return dataclasses.replace(
        order_of(diagnosis, settings),
        rounds=0,
        max_seconds=settings.before_restart_timeout,
        max_rss_bytes=ANY_SIZE,
        marker_root="",
    )
