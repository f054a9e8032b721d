"""What an agent held over time, as Prometheus has it, for the plots on pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from memleash_responder.adapters.prometheus import one_of
from memleash_responder.core.facts import Unknown
from memleash_responder.errors import FactsUnavailable
from memleash_responder.usecases.services import Services

POINTS = 240
"""How many values a plot has at most: more than it has pixels for would only cost."""
FINEST_SECONDS = 15.0

Samples = Sequence[tuple[float, float]]
"""Unix time and value, oldest first."""


@dataclasses.dataclass(frozen=True, slots=True)
class MemoryHistory:
    """One agent from ``start`` to ``end`` (unix seconds), a value every ``step`` seconds."""

    start: float
    end: float
    step: float
    limited_bytes: Samples
    """What the limits are held against."""
    alarm_threshold_bytes: Samples
    hard_limit_bytes: Samples
    busy: Samples
    """1 while it was busy."""
    lives: Sequence[float]
    """When each further process of it started."""


def memory_history(
    services: Services, host: str, agent: str, start: float, end: float
) -> MemoryHistory | Unknown:
    """Return what Prometheus has of an agent between two unix times."""
    step = max(FINEST_SECONDS, (end - start) / POINTS)
    of = f"{{{one_of('host', [host])},{one_of('agent', [agent])}}}"
    wanted = {
        "limited": f"memleash:agent_limited_memory_bytes{of}",
        "alarm": f"memleash:agent_memory_alarm_threshold_bytes{of}",
        "limit": f"memleash:agent_memory_hard_limit_bytes{of}",
        "busy": f"memleash_agent_busy{of}",
        "start": f"memleash_agent_start_time_seconds{of}",
    }
    try:
        found = services.outside.prometheus.over_time(wanted, start, end, step)
    except FactsUnavailable as error:
        return Unknown(str(error))
    starts = sorted({round(value) for _, value in found["start"]})
    return MemoryHistory(
        start,
        end,
        step,
        limited_bytes=found["limited"],
        alarm_threshold_bytes=found["alarm"],
        hard_limit_bytes=found["limit"],
        busy=found["busy"],
        lives=[float(one) for one in starts if start < one <= end],
    )
