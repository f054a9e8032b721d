"""The exporter's metrics: names, meaning, and where each value comes from."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence

from exporter.adapters.procfs import Process
from exporter.collector.exposition import Family, labels
from exporter.collector.sample import AgentSample, Facts
from exporter.decisions.busy import Word
from toolkit import VERSION

_GAUGE, _COUNTER = "gauge", "counter"
_BUSY = {Word.BUSY: 1, Word.IDLE: 0, Word.UNKNOWN: None}

_Value = float | int | None


def _fact(read: Callable[[Facts], _Value]) -> Callable[[AgentSample], _Value]:
    return lambda sample: None if sample.facts is None else read(sample.facts)


_AGENT_METRICS: Sequence[tuple[str, str, str, Callable[[AgentSample], _Value]]] = (
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
        _fact(lambda facts: facts.memory.resident_bytes),
    ),
    (
        "memleash_agent_anonymous_memory_bytes",
        _GAUGE,
        "Resident anonymous memory (RssAnon) of the agent's main process.",
        _fact(lambda facts: facts.memory.anonymous_bytes),
    ),
    (
        "memleash_agent_swap_bytes",
        _GAUGE,
        "Swapped out memory (VmSwap) of the agent's main process.",
        _fact(lambda facts: facts.memory.swap_bytes),
    ),
    (
        "memleash_agent_tree_resident_memory_bytes",
        _GAUGE,
        "Resident memory of the agent's main process and its descendants; shared pages count "
        "for each.",
        _fact(lambda facts: facts.tree_resident_bytes),
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
        _fact(lambda facts: facts.stat.cpu_seconds),
    ),
    (
        "memleash_agent_threads",
        _GAUGE,
        "Threads of the agent's main process.",
        _fact(lambda facts: facts.stat.threads),
    ),
    (
        "memleash_agent_open_fds",
        _GAUGE,
        "Open file descriptors of the agent's main process.",
        _fact(lambda facts: facts.open_fds),
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


def of_agents(samples: Sequence[AgentSample]) -> Iterator[Family]:
    """Yield the families that tell about the agents."""
    labelled = [(labels(agent=sample.agent.name), sample) for sample in samples]
    for name, kind, documentation, read in _AGENT_METRICS:
        values = [(label, read(sample)) for label, sample in labelled]
        yield Family(
            name, kind, documentation, [(label, _number(v)) for label, v in values if v is not None]
        )
    reports = [
        (labels(agent=sample.agent.name, source=report.source), _BUSY[report.word])
        for sample in samples
        for report in sample.reports
    ]
    yield Family(
        "memleash_agent_busy_source",
        _GAUGE,
        "Each busy source's word; no sample when it could not be asked.",
        [(label, word) for label, word in reports if word is not None],
    )
    yield Family(
        "memleash_agent_busy_source_success",
        _GAUGE,
        "Whether the busy source could be asked.",
        [(label, int(word is not None)) for label, word in reports],
    )


def of_exporter(*, last_reload_successful: bool, last_success_at: float) -> Iterator[Family]:
    """Yield the families that tell about the exporter's build and configuration."""
    build = labels(version=VERSION, python_version=platform.python_version())
    yield Family(
        "memleash_exporter_build_info", _GAUGE, "The exporter's version, always 1.", [(build, 1)]
    )
    yield Family(
        "memleash_exporter_config_last_reload_successful",
        _GAUGE,
        "Whether the last attempt to read the configuration succeeded.",
        [("", int(last_reload_successful))],
    )
    yield Family(
        "memleash_exporter_config_last_reload_success_timestamp_seconds",
        _GAUGE,
        "Unix time the configuration was last read with success.",
        [("", last_success_at)],
    )


def of_process(process: Process, started_at: float) -> Iterator[Family]:
    """Yield the usual families about the exporter's own process."""
    stat, memory, open_fds = process.stat(), process.memory(), process.open_fds()
    yield Family(
        "process_cpu_seconds_total",
        _COUNTER,
        "User and system CPU time of the exporter.",
        [("", stat.cpu_seconds)],
    )
    yield Family(
        "process_resident_memory_bytes",
        _GAUGE,
        "Resident memory of the exporter.",
        [("", memory.resident_bytes)],
    )
    yield Family(
        "process_start_time_seconds",
        _GAUGE,
        "Unix time the exporter started.",
        [("", started_at)],
    )
    if open_fds is not None:
        yield Family(
            "process_open_fds",
            _GAUGE,
            "Open file descriptors of the exporter.",
            [("", open_fds)],
        )


def _number(value: float) -> float:
    return int(value) if isinstance(value, bool) else value
