"""Whether an agent answers, all asked in one way whatever the kind of its readiness probe."""

from __future__ import annotations

from collections.abc import Callable

from memleash_exporter.adapters.background import BackgroundProbe
from memleash_exporter.adapters.processes import Processes, seconds_since_boot
from memleash_exporter.collector.busy_sources import begin_of
from memleash_exporter.collector.sample import Life

Readiness = Callable[[Life | None], bool | None]
"""Says whether the agent of this life is ready; None is unknown."""


def unknown(_: Life | None) -> None:
    """Say nothing: the agent has no readiness probe."""


def from_probe(probe: BackgroundProbe) -> Readiness:
    """Return what repeats the probe's last answer, where it was about this life and is recent."""

    def is_ready(life: Life | None) -> bool | None:
        answer = probe.latest(not_before=begin_of(life))
        return None if answer is None else answer.word

    return is_ready


def from_age(least_seconds: float, processes: Processes) -> Readiness:
    """Return what says yes once a life is ``least_seconds`` old."""

    def is_ready(life: Life | None) -> bool | None:
        if life is None:
            return None
        return processes.uptime() - seconds_since_boot(life.start_ticks) >= least_seconds

    return is_ready
