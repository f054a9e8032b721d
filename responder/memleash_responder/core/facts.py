"""What is known about a host and an agent at one moment, and the honest absence of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NoReturn, TypeVar

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that could not be read. It is never zero, idle or empty: unknown means no."""

    why: str

    def __bool__(self) -> NoReturn:
        """Raise TypeError: what is unknown is neither true nor false."""
        raise TypeError(f"unknown, so neither true nor false: {self.why}")


def shown(fact: T | Unknown) -> T | None:
    """Return a fact as it is shown to people: None when it is unknown."""
    return None if isinstance(fact, Unknown) else fact


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """A host as the inventory knows it. Only these values are ever used as addresses."""

    name: str
    exporter_address: str
    """``address:port`` of its exporter."""
    ssh_address: str
    """Name or address for SSH; an alias of ssh_config is welcome."""
    labels: Mapping[str, str]
    """All of the inventory's labels, ``host`` included."""


@dataclasses.dataclass(frozen=True, slots=True)
class AgentFacts:
    """One agent as its exporter described it in one scrape; what it did not tell is Unknown."""

    up: bool | Unknown = Unknown("the exporter gives no memleash_agent_up")
    start_time: float | Unknown = Unknown("the exporter gives no memleash_agent_start_time_seconds")
    """Unix time the main process started: the identity of a life."""
    resident_bytes: int | Unknown = Unknown(
        "the exporter gives no memleash_agent_resident_memory_bytes"
    )
    limited_bytes: int | Unknown = Unknown(
        "the exporter gives no memleash_agent_limited_memory_bytes"
    )
    """What the limits are held against: RSS, that of the whole tree, or anonymous memory."""
    alarm_threshold_bytes: int | Unknown | None = None
    """This host's override; None: it has none."""
    hard_limit_bytes: int | Unknown | None = None
    """This host's override; None: it has none."""
    busy: bool | Unknown = Unknown("the exporter gives no memleash_agent_busy")
    ready: bool | Unknown = Unknown("the exporter gives no memleash_agent_ready")


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """The agent's main process, which surely runs."""

    start_time: float
    """Unix time it started: the identity of a life."""
    resident_bytes: int
    limited_bytes: int
    """What the limits are held against."""


def running(facts: AgentFacts | Unknown) -> Process | Unknown:
    """Return the process that runs; Unknown: none does, or not all of it is known."""
    if isinstance(facts, Unknown):
        return facts
    if isinstance(facts.up, Unknown):
        return facts.up
    if not facts.up:
        return Unknown("the exporter does not see the agent running")
    if isinstance(facts.start_time, Unknown):
        return facts.start_time
    if isinstance(facts.resident_bytes, Unknown):
        return facts.resident_bytes
    if isinstance(facts.limited_bytes, Unknown):
        return facts.limited_bytes
    return Process(facts.start_time, facts.resident_bytes, facts.limited_bytes)


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """A controller's work in flight on a host."""

    id: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class ControllerTasks:
    """What one controller said about a host's running tasks."""

    controller: str
    running: tuple[Task, ...] | Unknown
    """The first of them, when there are very many."""
    more: int = 0
    """How many run beside those, whose names are not kept."""


def same_life(start_time: float, other: float) -> bool:
    """Whether two start times name the same life.

    The exporter derives them from boot time plus clock ticks, so that they agree to the tick;
    a clock that was adjusted between two boots of the exporter may move them by less than a second.
    """
    return abs(start_time - other) < 1.0
