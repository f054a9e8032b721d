"""The exporter's metrics: names, meaning, and where each value comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from memleash_exporter.collector.sample import AgentSample, Facts
from memleash_exporter.decisions.busy import Busyness

_GAUGE, _COUNTER = GaugeMetricFamily, CounterMetricFamily
_BUSY = {Busyness.BUSY: 1, Busyness.IDLE: 0, Busyness.UNKNOWN: None}

_Value = float | int | None


def _fact(read: Callable[[Facts], _Value]) -> Callable[[AgentSample], _Value]:
    return lambda sample: None if sample.facts is None else read(sample.facts)


_Kind = type[GaugeMetricFamily] | type[CounterMetricFamily]

_AGENT_METRICS: Sequence[tuple[str, _Kind, str, Callable[[AgentSample], _Value]]] = (
    (
        "memleash_agent_up",
        _GAUGE,
        "Whether the agent's main process was found; no sample when it cannot be told.",
        lambda sample: sample.is_up,
    ),
    (
        "memleash_agent_resident_memory_bytes",
        _GAUGE,
        "Resident memory (VmRSS) of the agent's main process.",
        _fact(lambda facts: facts.usage.resident_bytes),
    ),
    (
        "memleash_agent_anonymous_memory_bytes",
        _GAUGE,
        "Resident anonymous memory (RssAnon) of the agent's main process.",
        _fact(lambda facts: facts.usage.anonymous_bytes),
    ),
    (
        "memleash_agent_swap_bytes",
        _GAUGE,
        "Swapped out memory (VmSwap) of the agent's main process.",
        _fact(lambda facts: facts.usage.swap_bytes),
    ),
    (
        "memleash_agent_tree_resident_memory_bytes",
        _GAUGE,
        "Resident memory of the agent's main process and its descendants; shared pages count "
        "for each.",
        _fact(lambda facts: facts.tree_resident_bytes),
    ),
    (
        "memleash_agent_limited_memory_bytes",
        _GAUGE,
        "Memory that the limits are held against, as limits.of says: resident memory of the main "
        "process (main) or of it and its descendants (tree), or RssAnon and VmSwap of the main "
        "process (anonymous).",
        _fact(lambda facts: facts.limited_bytes),
    ),
    (
        "memleash_agent_start_time_seconds",
        _GAUGE,
        "Unix time the agent's main process started: the identity of its life.",
        _fact(lambda facts: facts.life.started_at),
    ),
    (
        "memleash_agent_cpu_seconds_total",
        _COUNTER,
        "User and system CPU time of the agent's main process.",
        _fact(lambda facts: facts.usage.cpu_seconds),
    ),
    (
        "memleash_agent_threads",
        _GAUGE,
        "Threads of the agent's main process.",
        _fact(lambda facts: facts.usage.threads),
    ),
    (
        "memleash_agent_open_fds",
        _GAUGE,
        "Open file descriptors of the agent's main process.",
        _fact(lambda facts: facts.usage.open_fds),
    ),
    (
        "memleash_agent_memory_alarm_threshold_bytes",
        _GAUGE,
        "This host's override of the alarm threshold; 0 switches it off.",
        lambda sample: sample.agent.limits.alarm_threshold,
    ),
    (
        "memleash_agent_memory_hard_limit_bytes",
        _GAUGE,
        "This host's override of the hard limit; 0 switches it off.",
        lambda sample: sample.agent.limits.hard_limit,
    ),
    (
        "memleash_agent_busy",
        _GAUGE,
        "Whether the agent is busy; no sample when no source could tell.",
        lambda sample: _BUSY[sample.busy],
    ),
    (
        "memleash_agent_busy_since_timestamp_seconds",
        _GAUGE,
        "Unix time since when the agent has been busy without a break.",
        lambda sample: sample.busy_since,
    ),
    (
        "memleash_agent_ready",
        _GAUGE,
        "Whether the readiness probe was answered; no sample before it was asked in this life.",
        lambda sample: sample.is_ready,
    ),
    (
        "memleash_agent_sample_success",
        _GAUGE,
        "Whether everything about the agent's process could be told.",
        lambda sample: sample.is_complete,
    ),
    (
        "memleash_agent_sample_duration_seconds",
        _GAUGE,
        "How long looking at the agent took.",
        lambda sample: sample.duration_seconds,
    ),
)


def of_agents(samples: Sequence[AgentSample]) -> Iterator[Metric]:
    """Yield the families that tell about the agents; one without samples is left out."""
    for name, kind, documentation, read in _AGENT_METRICS:
        family = kind(name, documentation, labels=["agent"])
        for sample in samples:
            value = read(sample)
            if value is not None:
                family.add_metric([sample.agent.name], value)
        if family.samples:
            yield family
    source = _GAUGE(
        "memleash_agent_busy_source",
        "Each busy source's word; no sample when it could not be asked.",
        labels=["agent", "source"],
    )
    success = _GAUGE(
        "memleash_agent_busy_source_success",
        "Whether the busy source could be asked.",
        labels=["agent", "source"],
    )
    for sample in samples:
        for report in sample.reports:
            labels, word = [sample.agent.name, report.source], _BUSY[report.word]
            success.add_metric(labels, word is not None)
            if word is not None:
                source.add_metric(labels, word)
    yield from (family for family in (source, success) if family.samples)


def of_configuration(*, last_reload_successful: bool, last_success_at: float) -> Iterator[Metric]:
    """Yield the families that tell about the exporter's configuration."""
    yield _GAUGE(
        "memleash_exporter_config_last_reload_successful",
        "Whether the last attempt to read the configuration succeeded.",
        value=last_reload_successful,
    )
    yield _GAUGE(
        "memleash_exporter_config_last_reload_success_timestamp_seconds",
        "Unix time the configuration was last read with success.",
        value=last_success_at,
    )
