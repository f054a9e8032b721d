"""``/metrics``: the process's counters, and the fleet's state as the database has it now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from memleash_responder.core.host_states import HostState
from memleash_responder.core.mutes import mute_in_force
from memleash_responder.core.outcomes import BEGUN, NEEDS_A_PERSON
from memleash_responder.core.pauses import holding
from memleash_responder.core.time_bought import SHOWN_SECONDS
from memleash_responder.errors import DatabaseUnavailable
from memleash_responder.usecases.host_states import (
    KnownHosts,
    all_claims,
    known_hosts,
    state_in,
)
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.storm_breaker import standing_storm
from memleash_responder.web.api.table import restricted
from memleash_toolkit.accept_header import accepted

PREFIX = "memleash_responder"


class StateCollector(Collector):
    """Gauges read from the database at each scrape; every replica tells the same."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges; of those in the database, when it is gone, only that it is gone."""
        yield self._inventory()
        yield self._links()
        up = GaugeMetricFamily(f"{PREFIX}_database_up", "Whether the database can be read.")
        try:
            hosts = known_hosts(self._services)
            families = [
                *self._mutes(hosts),
                *self._restarts(hosts),
                *self._hosts(hosts),
                *self._flags(),
                self._queue(),
            ]
        except DatabaseUnavailable:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], float(self._services.tables.database.writable() is None))
        yield up
        yield from families

    def _inventory(self) -> Metric:
        self._services.outside.inventory.hosts()  # looks whether the files have changed
        valid = GaugeMetricFamily(
            f"{PREFIX}_inventory_last_reload_successful",
            "Whether the inventory's files, as they are now, could be read and used.",
        )
        valid.add_metric([], float(self._services.outside.inventory.valid))
        return valid

    def _links(self) -> Metric:
        links = self._services.settings.links
        return _gauge(
            "links_info",
            "Constant 1; the labels are the addresses that alerts link to, empty where none is.",
            ["responder", "grafana"],
            {(links.responder or "", links.grafana or ""): 1},
        )

    def _mutes(self, hosts: KnownHosts) -> Iterator[Metric]:
        active = GaugeMetricFamily(f"{PREFIX}_mutes_active", "Hosts whose pings are muted.")
        deadlines = GaugeMetricFamily(
            f"{PREFIX}_mute_deadline_timestamp_seconds",
            "The last muted second of each muted host.",
            labels=["host"],
        )
        count = 0
        for host, claims in all_claims(self._services, hosts).items():
            mute = mute_in_force(claims, hosts.read_at)
            if mute is not None:
                count += 1
                deadlines.add_metric([host], mute.until)
        active.add_metric([], count)
        yield from (active, deadlines)

    def _restarts(self, hosts: KnownHosts) -> Iterator[Metric]:
        tables = self._services.tables
        # An alert that is told again opens a new request: until that has its word, the last stands.
        under_way, ended = tables.restarts.all_open(), tables.restart_history.last_ended()
        yield _gauge(
            "restart_in_progress",
            "Open requests for a restart, by the step they are at.",
            ["host", "agent", "step"],
            {(one.host, one.agent, one.step): 1 for one in under_way},
        )
        waiting = [(one.host, one.agent, one.step) for one in under_way]
        refused = [(one.host, one.agent, str(one.outcome)) for one in ended]
        yield _gauge(
            "restart_blocked",
            "1 while a request waits for a person, or the last was refused for want of one.",
            ["host", "agent", "reason"],
            {
                (host, agent, why): 1
                for host, agent, why in (*waiting, *refused)
                if why in NEEDS_A_PERSON and self._is_ours(hosts, host, agent)
            },
        )
        times_bought = tables.restart_history.times_bought(since=hosts.read_at - SHOWN_SECONDS)
        yield _gauge(
            "restart_time_bought_seconds",
            "How long the last restart of 30 days with a known end kept an agent below its limit.",
            ["host", "agent"],
            {
                (one.host, one.agent): one.seconds
                for one in times_bought
                if self._is_ours(hosts, one.host, one.agent)
            },
        )
        yield _gauge(
            "last_restart_timestamp_seconds",
            "When the last request ended, and the last that was not refused, by its word.",
            ["host", "agent", "outcome"],
            {
                (one.host, one.agent, str(one.outcome)): one.finished_at or 0.0
                for one in (*tables.restart_history.last_ended(BEGUN), *ended)
            },
        )

    def _hosts(self, hosts: KnownHosts) -> Iterator[Metric]:
        states = GaugeMetricFamily(
            f"{PREFIX}_host_state",
            "1 for the state that each host of the inventory is in.",
            labels=["host", "state"],
        )
        standings = hosts.out_of_service()
        for host in hosts.inventory:
            current = state_in(standings, host)
            for state in HostState:
                states.add_metric([host, state], float(state is current))
        quarantined = GaugeMetricFamily(
            f"{PREFIX}_quarantined",
            "1 for each agent that a restart did not help.",
            labels=["host", "agent"],
        )
        for host, agent in self._services.tables.quarantine.all():
            if self._is_ours(hosts, host, agent):
                quarantined.add_metric([host, agent], 1)
        yield from (states, quarantined)

    def _is_ours(self, hosts: KnownHosts, host: str, agent: str) -> bool:
        """Whether there is anything that a person could still do about it here."""
        return host in hosts.inventory and agent in self._services.settings.agents

    def _flags(self) -> Iterator[Metric]:
        tables = self._services.tables
        flags, pauses = tables.flags.all(), holding(tables.pauses.all(), self._services.clock.now())
        paused = GaugeMetricFamily(f"{PREFIX}_paused", "1 while any pause holds.")
        paused.add_metric([], float(bool(pauses)))
        yield _gauge(
            "pause_start_timestamp_seconds",
            "When each pause that holds began.",
            ["name"],
            {(pause.name,): pause.since for pause in pauses},
        )
        storm = GaugeMetricFamily(f"{PREFIX}_storm", "1 while the storm breaker is open.")
        storm.add_metric([], float(standing_storm(flags) is not None))
        yield from (paused, storm)

    def _queue(self) -> Metric:
        queue = GaugeMetricFamily(
            f"{PREFIX}_queue_length", "Notifications stored and not handled yet."
        )
        queue.add_metric([], self._services.tables.inbox.length())
        return queue


def _gauge(
    name: str, text: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]
) -> Metric:
    """Return a gauge with one series for each tuple of label values."""
    gauge = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for of, value in values.items():
        gauge.add_metric(of, value)
    return gauge


def metrics(registry: CollectorRegistry) -> Blueprint:
    """Return the route ``GET /metrics``."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    @restricted(None)
    def scrape() -> Response:
        encoder, content_type = choose_encoder(accepted(request.headers.get("Accept")))
        return Response(encoder(registry), content_type=content_type)

    return blueprint
