"""A plot of memory over time: from values to the coordinates that a template draws as SVG."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from memleash_responder.core.moments import as_datetime
from memleash_responder.usecases.memory_history import MemoryHistory, Samples
from memleash_toolkit.units import format_size

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 8, 24
_ROWS = 12
_GAP_STEPS = 2.5
"""What is missing for longer than so many steps is a gap in the line."""
_TICK_SECONDS = (900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400)
_MOST_TICKS = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Plot:
    """What is drawn, in the coordinates of a view of WIDTH by HEIGHT."""

    memory: str
    """The line of the memory, as an SVG path; empty without a value."""
    alarm: str
    limit: str
    busy: Sequence[tuple[float, float]]
    """Left edge and width of each time that it was busy."""
    lives: Sequence[tuple[float, float]]
    """Where each new process began, and when, unix seconds."""
    sizes: Sequence[tuple[float, str]]
    """Height and text of each tick at the side."""
    times: Sequence[tuple[float, str]]
    """Place and text of each tick below."""
    rows: Sequence[tuple[float, float]]
    """Some of the values, unix seconds and bytes, for a table."""
    summary: str
    """The whole in one sentence."""


def plot(history: MemoryHistory) -> Plot:
    """Return ``history`` as it is drawn."""
    drawn = (history.limited_bytes, history.alarm_threshold_bytes, history.hard_limit_bytes)
    top = max((value for samples in drawn for _, value in samples), default=0.0) * 1.05 or 1.0
    axes = _Axes(history, top)
    return Plot(
        memory=axes.path(history.limited_bytes),
        alarm=axes.path(_switched_on(history.alarm_threshold_bytes)),
        limit=axes.path(_switched_on(history.hard_limit_bytes)),
        busy=[(axes.x(begin), axes.x(end) - axes.x(begin)) for begin, end in _stretches(history)],
        lives=[(axes.x(at), at) for at in history.lives],
        sizes=[(axes.y(size), format_size(round(size))) for size in _round_sizes(top)],
        times=[(axes.x(at), _label(at, history)) for at in _round_times(history)],
        rows=_thinned(history.limited_bytes),
        summary=_summary(history),
    )


class _Axes:
    def __init__(self, history: MemoryHistory, top: float) -> None:
        self._start, self._span = history.start, history.end - history.start
        self._gap = history.step * _GAP_STEPS
        self._top = top

    def x(self, at: float) -> float:
        share = min(1.0, max(0.0, (at - self._start) / self._span))
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, size: float) -> float:
        return round(HEIGHT - BOTTOM - size / self._top * (HEIGHT - TOP - BOTTOM), 1)

    def path(self, samples: Samples) -> str:
        """Return a line through ``samples``, with a gap wherever some are missing.

        A line of no length begins each part, so that a value that stands alone is a dot.
        """
        parts, last = [], float("-inf")
        for at, value in samples:
            point = f"{self.x(at)} {self.y(value)}"
            parts.append(f"M{point}h0" if at - last > self._gap else f"L{point}")
            last = at
        return "".join(parts)


def _switched_on(limits: Samples) -> Samples:
    return [(at, limit) for at, limit in limits if limit > 0]


def _stretches(history: MemoryHistory) -> Iterator[tuple[float, float]]:
    """Yield begin and end of each time that the agent was busy."""
    begin = end = None
    for at, busy in history.busy:
        if not busy:
            continue
        if begin is None or end is None or at - end > history.step * _GAP_STEPS:
            if begin is not None and end is not None:
                yield begin, end + history.step
            begin = at
        end = at
    if begin is not None and end is not None:
        yield begin, end + history.step


def _round_sizes(top: float) -> list[float]:
    """Return three to six sizes from 0 on that are short to write."""
    step = 1024.0
    while top / step > 6:
        step *= 2
    return [number * step for number in range(int(top / step) + 1)]


def _round_times(history: MemoryHistory) -> list[float]:
    span = history.end - history.start
    step = next((one for one in _TICK_SECONDS if span / one <= _MOST_TICKS), _TICK_SECONDS[-1])
    first = -(-history.start // step) * step
    return [first + number * step for number in range(int((history.end - first) // step) + 1)]


def _label(at: float, history: MemoryHistory) -> str:
    is_long = history.end - history.start > 2 * 86400
    return f"{as_datetime(at):%d %b}" if is_long else f"{as_datetime(at):%H:%M}"


def _thinned(samples: Samples) -> list[tuple[float, float]]:
    if len(samples) <= _ROWS:
        return list(samples)
    stride = (len(samples) - 1) / (_ROWS - 1)
    return [samples[round(number * stride)] for number in range(_ROWS)]


def _summary(history: MemoryHistory) -> str:
    if not history.limited_bytes:
        return "Prometheus has no value of its memory in this time."
    sizes = [size for _, size in history.limited_bytes]
    text = (
        f"From {format_size(round(sizes[0]))} to {format_size(round(sizes[-1]))},"
        f" at most {format_size(round(max(sizes)))}"
    )
    limits = _switched_on(history.hard_limit_bytes)
    text += f"; the hard limit is {format_size(round(limits[-1][1]))}" if limits else ""
    restarts = len(history.lives)
    return f"{text}; {restarts} new process{'es' if restarts != 1 else ''}."
