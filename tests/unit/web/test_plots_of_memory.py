"""Plots of memory: gaps stay gaps, what is off is not drawn, and a sentence says it all."""

from __future__ import annotations

import dataclasses
import re

import pytest

from memleash_responder.usecases.memory_history import MemoryHistory
from memleash_responder.web.pages.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, plot

GIB = 1024.0**3
HOUR = 3600.0
STEADY = MemoryHistory(
    start=0.0,
    end=6 * HOUR,
    step=HOUR,
    limited_bytes=[(number * HOUR, (number + 1) * GIB) for number in range(7)],
    alarm_threshold_bytes=[(0.0, 2 * GIB), (6 * HOUR, 2 * GIB)],
    hard_limit_bytes=[(0.0, 10 * GIB), (6 * HOUR, 10 * GIB)],
    busy=[],
    lives=[],
)


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def test_the_line_goes_from_edge_to_edge_and_up_as_memory_grows() -> None:
    line = points(plot(STEADY).memory)
    assert (line[0][0], line[-1][0]) == (LEFT, WIDTH - RIGHT)
    heights = [y for _, y in line]
    assert heights == sorted(heights, reverse=True)
    assert all(TOP <= y <= HEIGHT - BOTTOM for y in heights)
    limit = points(plot(STEADY).limit)[0][1]
    assert TOP < limit < heights[-1], "the limit stands above all that is held"


def test_what_is_missing_is_a_gap() -> None:
    holes = [one for one in STEADY.limited_bytes if one[0] not in (2 * HOUR, 3 * HOUR, 4 * HOUR)]
    drawn = plot(dataclasses.replace(STEADY, limited_bytes=holes))
    assert drawn.memory.count("M") == 2
    assert plot(STEADY).memory.count("M") == 1


def test_a_limit_of_0_is_off_and_not_drawn() -> None:
    off = dataclasses.replace(STEADY, hard_limit_bytes=[(0.0, 0.0)], alarm_threshold_bytes=[])
    drawn = plot(off)
    assert (drawn.limit, drawn.alarm) == ("", "")
    assert "limit" not in drawn.summary


def test_times_of_being_busy_are_bands_and_new_processes_are_marked() -> None:
    busy = [(HOUR, 1.0), (2 * HOUR, 1.0), (3 * HOUR, 0.0), (6 * HOUR, 1.0)]
    drawn = plot(dataclasses.replace(STEADY, busy=busy, lives=[3 * HOUR]))
    assert len(drawn.busy) == 2
    (x, width), (last, at_the_edge) = drawn.busy
    assert width == pytest.approx(2 * (last - x) / 5, abs=0.3)
    assert (last, at_the_edge) == (WIDTH - RIGHT, 0)
    assert [at for _, at in drawn.lives] == [3 * HOUR]
    assert drawn.summary.endswith("1 new process.")


def test_the_sentence_says_what_the_picture_shows() -> None:
    assert plot(STEADY).summary == (
        "From 1 GiB to 7 GiB, at most 7 GiB; the hard limit is 10 GiB; 0 new processes."
    )


def test_nothing_known_is_an_empty_picture() -> None:
    nothing = MemoryHistory(0.0, 6 * HOUR, HOUR, [], [], [], [], [])
    drawn = plot(nothing)
    assert (drawn.memory, drawn.rows) == ("", [])
    assert drawn.summary == "Prometheus has no value of its memory in this time."


@pytest.mark.parametrize("hours", [6, 24, 168])
@pytest.mark.parametrize("top", [1.0, 5e6, 3e9, 6.4e10, 1e15])
def test_the_axes_have_few_ticks_whatever_the_span_and_size(hours: int, top: float) -> None:
    end = 1_800_000_123.0
    history = MemoryHistory(
        end - hours * HOUR, end, hours * HOUR / 240, [(end, top)], [], [], [], []
    )
    drawn = plot(history)
    assert 1 <= len(drawn.sizes) <= 7
    assert 2 <= len(drawn.times) <= 9
    assert all(LEFT <= x <= WIDTH - RIGHT for x, _ in drawn.times)


def test_a_table_has_the_first_and_the_last_value_and_stays_short() -> None:
    many = [(float(number), number * 1e6) for number in range(240)]
    rows = plot(dataclasses.replace(STEADY, limited_bytes=many)).rows
    assert (rows[0], rows[-1]) == (many[0], many[-1])
    assert len(rows) == 12


def test_a_value_that_stands_alone_is_a_dot() -> None:
    alone = dataclasses.replace(STEADY, limited_bytes=[(HOUR, GIB)])
    assert re.fullmatch(r"M[\d.]+ [\d.]+h0", plot(alone).memory)
