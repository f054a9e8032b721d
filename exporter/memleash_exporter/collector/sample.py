"""What one look at an agent finds. None always means: not known, so no sample."""

from __future__ import annotations

from dataclasses import dataclass

from memleash_exporter.adapters.processes import Process, Usage
from memleash_exporter.decisions.busy import Busyness, SourceAnswer
from memleash_exporter.settings import Agent


@dataclass(frozen=True, slots=True)
class Life:
    """One life of an agent's main process.

    ``started_at`` (unix seconds) is worked out once, when the life is found: the kernel's boot
    time follows every step of the clock, but the identity of a life must not.
    """

    process: Process
    start_ticks: int
    started_at: float

    @property
    def pid(self) -> int:
        """The number that it has while it lives."""
        return self.process.pid


@dataclass(frozen=True, slots=True)
class Facts:
    """What /proc says about one life at one moment."""

    life: Life
    usage: Usage
    tree_resident_bytes: int | None
    limited_bytes: int | None
    """What the limits are held against; None is unknown."""


@dataclass(frozen=True, slots=True)
class AgentSample:
    """Everything a scrape tells about one agent."""

    agent: Agent
    is_up: bool | None
    facts: Facts | None
    reports: tuple[SourceAnswer, ...]
    busy: Busyness
    busy_since: float | None
    is_ready: bool | None
    is_complete: bool
    duration_seconds: float
