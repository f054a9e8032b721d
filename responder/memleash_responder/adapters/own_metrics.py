"""The responder's own counters and histograms. Gauges of state are read from the database
when they are scraped (see web.metrics), so that every replica tells the same."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from enum import StrEnum
from importlib import metadata

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from memleash_responder.core.outcomes import DIAGNOSIS_OUTCOMES, RESTART_OUTCOMES, Outcome
from memleash_responder.core.steps import Step


class Part(StrEnum):
    """Which background work failed."""

    DATABASE = "database"
    """Something waits for the database."""
    INTAKE = "intake"
    ALERT = "alert"
    """One alert of a notification."""
    TRUNCATED = "truncated"
    """Alertmanager's API was asked for the alerts that a notification left out."""
    WORKER = "worker"
    """A look at a host that an alert asked for."""
    STEP = "step"
    """A restart's step, by an error that none of its words is made for."""
    UNDRAIN = "undrain"
    HEARTBEAT = "heartbeat"
    RENEW_MUTES = "renew_mutes"
    SYNCHRONIZE_MUTES = "synchronize_mutes"
    RECOVER_HOSTS = "recover_hosts"
    WATCH_HOSTS = "watch_hosts"
    """What a controller calls the hosts was not stored."""
    WATCH_PINGS = "watch_pings"
    """Whose pings fail was not read."""
    WATCH_FOR_STORM = "watch_for_storm"
    REQUESTS = "requests"
    """A look at whether a request may be acted on."""
    LOOK_AT_WAITING = "look_at_waiting"
    """Which requests wait could not be found out."""
    KEEPER = "keeper"
    """The clockwork itself, by an error that none of its duties made."""
    SWEEP = "sweep"
    """What was left in the inbox, or without anybody who works on it."""
    PRUNE = "prune"
    NOTIFY = "notify"
    """What there is to tell people was not found out, or could not be sent."""
    TAKE_OVER = "take_over"
    EXPIRY = "expiry"
    """Pauses and maintenances that are over were not forgotten."""


class Telemetry:
    """Metrics that count what this process did."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.notifications = Counter(
            "memleash_responder_notifications",
            "Webhook calls by answer: stored, refused (bad payload) or unavailable (try again).",
            ["answer"],
            registry=registry,
        )
        self.alerts = Counter(
            "memleash_responder_alerts",
            "Alerts told by the known alert names; others count as alertname other.",
            ["alertname", "status"],
            registry=registry,
        )
        self.alerts_refused = Counter(
            "memleash_responder_alerts_refused",
            "Alerts that name no known host or agent.",
            ["reason"],
            registry=registry,
        )
        self.restarts = Counter(
            "memleash_responder_restarts",
            "Requests for a restart by their final word.",
            ["agent", "outcome"],
            registry=registry,
        )
        self.diagnoses = Counter(
            "memleash_responder_diagnoses",
            "Requests for a diagnosis by their final word.",
            ["agent", "outcome"],
            registry=registry,
        )
        self.notices = Counter(
            "memleash_responder_notices",
            "Notices to people by target and result: sent, failed (tried again) or given_up.",
            ["target", "result"],
            registry=registry,
        )
        self.step_seconds = Histogram(
            "memleash_responder_restart_step_seconds",
            "How long each step of a restart took.",
            ["step"],
            buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800),
            registry=registry,
        )
        self.failures = Counter(
            "memleash_responder_failures",
            "Background work that failed and is tried again, by part.",
            ["part"],
            registry=registry,
        )
        self.silences_corrected = Counter(
            "memleash_responder_silences_corrected",
            "Silences of memleash's own that were not as it writes them, and were expired.",
            registry=registry,
        )
        self.reload_successful = Gauge(
            "memleash_responder_config_last_reload_successful",
            "Whether the last reload of the configuration was valid.",
            registry=registry,
        )
        self.reloaded_at = Gauge(
            "memleash_responder_config_last_reload_success_timestamp_seconds",
            "When the configuration was last read successfully.",
            registry=registry,
        )
        build = Gauge(
            "memleash_responder_build_info",
            "Constant 1; the labels say what runs.",
            ["version", "python_version"],
            registry=registry,
        )
        build.labels(metadata.version("memleash"), platform.python_version()).set(1)
        for name in ("stored", "refused", "unavailable"):
            self.notifications.labels(name)
        for reason in (Outcome.UNKNOWN_HOST, Outcome.UNKNOWN_AGENT):
            self.alerts_refused.labels(reason)
        for part in Part:
            self.failures.labels(part)
        for step in Step:
            self.step_seconds.labels(step)

    def expect(self, agents: Iterable[str]) -> None:
        """Start every counter of the configured agents at 0, so that a first failure counts."""
        for agent in agents:
            for outcome in RESTART_OUTCOMES:
                self.restarts.labels(agent, outcome)
            for outcome in DIAGNOSIS_OUTCOMES:
                self.diagnoses.labels(agent, outcome)
