"""What is known about a host and an agent at one moment, and the honest absence of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that could not be read. It is never zero, idle or empty: unknown means no."""

    why: str


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
    """One agent as its exporter described it in one scrape. None: the exporter gave no sample."""

    up: bool | None = None
    start_time: float | None = None
    """Unix time the main process started: the identity of a life."""
    resident_bytes: int | None = None
    alarm_threshold_bytes: int | None = None
    """This host's override, where it has one."""
    hard_limit_bytes: int | None = None
    """This host's override, where it has one."""
    busy: bool | None = None
    ready: bool | None = None


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
