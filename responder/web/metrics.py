"""``/metrics``: the process's counters, and the fleet's state as the database has it now."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from responder.adapters.database.requests import AWAITING_APPROVAL
from responder.core.mutes import mute_in_force
from responder.core.outcomes import BEGUN, NEEDS_A_PERSON, HostState
from responder.core.storms import storm_reason
from responder.errors import DatabaseUnavailable
from responder.usecases.services import PAUSED, STORM, Services
from responder.web.routes import restricted

PREFIX = "memleash_responder"


class StateCollector(Collector):
    """Gauges read from the database at each scrape; every replica tells the same."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges; with the database gone only that it is gone."""
        up = GaugeMetricFamily(f"{PREFIX}_database_up", "Whether the database can be read.")
        try:
            families = [
                *self._mutes(),
                *self._restarts(),
                *self._hosts(),
                *self._flags(),
                self._queue(),
            ]
        except DatabaseUnavailable:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from families

    def _mutes(self) -> Iterator[Metric]:
        now = self._services.clock.now()
        active = GaugeMetricFamily(f"{PREFIX}_mutes_active", "Hosts whose pings are muted.")
        deadlines = GaugeMetricFamily(
            f"{PREFIX}_mute_deadline_timestamp_seconds",
            "The last muted second of each muted host.",
            labels=["host"],
        )
        count = 0
        for host, claims in self._services.memory.mutes.all().items():
            mute = mute_in_force(claims, now)
            if mute is not None:
                count += 1
                deadlines.add_metric([host], mute.until)
        active.add_metric([], count)
        yield from (active, deadlines)

    def _restarts(self) -> Iterator[Metric]:
        requests = self._services.memory.requests
        progress = GaugeMetricFamily(
            f"{PREFIX}_restart_in_progress",
            "Open requests for a restart, by the step they are at.",
            labels=["host", "agent", "step"],
        )
        blocked = GaugeMetricFamily(
            f"{PREFIX}_restart_blocked",
            "1 while a request waits for a person, or the last was refused for want of one.",
            labels=["host", "agent", "reason"],
        )
        refused: set[tuple[str, str, str]] = set()
        for restart in requests.all_open():
            progress.add_metric([restart.host, restart.agent, restart.step], 1)
            if restart.step == AWAITING_APPROVAL:
                refused.add((restart.host, restart.agent, AWAITING_APPROVAL))
        last = GaugeMetricFamily(
            f"{PREFIX}_last_restart_timestamp_seconds",
            "When the last request ended, and the last that was not refused, by its word.",
            labels=["host", "agent", "outcome"],
        )
        # An alert that is told again opens a new request: until that has its word, the last stands.
        ended = requests.last_ended()
        at: dict[tuple[str, str, str], float] = {}
        for restart in (*requests.last_ended(BEGUN), *ended):
            at[restart.host, restart.agent, str(restart.outcome)] = restart.finished_at or 0.0
        for labels, finished_at in at.items():
            last.add_metric(labels, finished_at)
        for restart in ended:
            if restart.outcome in NEEDS_A_PERSON and self._is_ours(restart.host, restart.agent):
                refused.add((restart.host, restart.agent, str(restart.outcome)))
        for labels in refused:
            blocked.add_metric(labels, 1)
        yield from (progress, blocked, last)

    def _hosts(self) -> Iterator[Metric]:
        states = GaugeMetricFamily(
            f"{PREFIX}_host_state",
            "1 for the state that each host of the inventory is in.",
            labels=["host", "state"],
        )
        records = self._services.memory.hosts.all()
        for host in self._services.outside.inventory.hosts():
            current = records[host].state if host in records else HostState.CONNECTED
            for state in HostState:
                states.add_metric([host, state], float(state is current))
        quarantined = GaugeMetricFamily(
            f"{PREFIX}_quarantined",
            "1 for each agent that a restart did not help.",
            labels=["host", "agent"],
        )
        for host, agent in self._services.memory.quarantine.all():
            if self._is_ours(host, agent):
                quarantined.add_metric([host, agent], 1)
        yield from (states, quarantined)

    def _is_ours(self, host: str, agent: str) -> bool:
        """Whether there is anything that a person could still do about it here."""
        known_host = self._services.outside.inventory.get(host) is not None
        return known_host and agent in self._services.settings.agents

    def _flags(self) -> Iterator[Metric]:
        flags = self._services.memory.flags.all()
        paused = GaugeMetricFamily(f"{PREFIX}_paused", "1 while a person paused the responder.")
        paused.add_metric([], float(PAUSED in flags))
        storm = GaugeMetricFamily(f"{PREFIX}_storm", "1 while the storm breaker is open.")
        storm.add_metric([], float(storm_reason(flags.get(STORM, ("",))[0]) is not None))
        yield from (paused, storm)

    def _queue(self) -> Metric:
        queue = GaugeMetricFamily(
            f"{PREFIX}_queue_length", "Notifications stored and not handled yet."
        )
        queue.add_metric([], self._services.memory.inbox.length())
        return queue


def metrics(registry: CollectorRegistry) -> Blueprint:
    """Return the route ``GET /metrics``."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    @restricted(None)
    def scrape() -> Response:
        encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encoder(registry), content_type=content_type)

    return blueprint
