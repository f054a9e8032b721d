"""The exporter's decisions as tables: busy or not, since when, which marker, which process."""

from __future__ import annotations

import pytest

from memleash_exporter.decisions.busy import Busyness, SourceAnswer, busy_since, combined
from memleash_exporter.decisions.markers import Marker, is_live, parse
from memleash_exporter.decisions.trees import roots

BUSY, IDLE, UNKNOWN = Busyness.BUSY, Busyness.IDLE, Busyness.UNKNOWN


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], UNKNOWN),
        ([UNKNOWN], UNKNOWN),
        ([IDLE], IDLE),
        ([BUSY], BUSY),
        ([IDLE, UNKNOWN], IDLE),
        ([BUSY, UNKNOWN], BUSY),
        ([IDLE, BUSY], BUSY),
        ([IDLE, IDLE], IDLE),
    ],
)
def test_an_agent_is_busy_when_any_source_says_so(
    words: list[Busyness], expected: Busyness
) -> None:
    reports = [SourceAnswer(str(number), word) for number, word in enumerate(words)]
    assert combined(reports) is expected
    assert combined(reports[::-1]) is expected


@pytest.mark.parametrize(
    ("reports", "before", "expected"),
    [
        ([], None, None),
        ([SourceAnswer("a", IDLE)], 50.0, None),
        ([SourceAnswer("a", UNKNOWN)], 50.0, None),
        ([SourceAnswer("a", BUSY)], None, 100.0),
        ([SourceAnswer("a", BUSY, 90.0)], None, 90.0),
        ([SourceAnswer("a", BUSY, 90.0), SourceAnswer("b", BUSY, 80.0)], None, 80.0),
        ([SourceAnswer("a", IDLE, 10.0), SourceAnswer("b", BUSY, 80.0)], None, 80.0),
        ([SourceAnswer("b", BUSY, 95.0)], 50.0, 50.0),
    ],
)
def test_a_busy_stretch_begins_with_its_first_source_and_ends_with_its_last(
    reports: list[SourceAnswer], before: float | None, expected: float | None
) -> None:
    assert busy_since(reports, before, now=100.0) == expected


@pytest.mark.parametrize(
    ("marker", "pid_start_ticks", "expected"),
    [
        (Marker(1000.0), None, True),
        (Marker(1000.0 - 3600), None, True),
        (Marker(1000.0 - 3600.1), None, False),
        (Marker(1000.0 + 3600), None, True),
        (Marker(1000.0 + 3600.1), None, True),
        (Marker(1000.0, expires_at=1000.1), None, True),
        (Marker(1000.0, expires_at=1000.0), None, False),
        (Marker(1000.0, pid=7), 55, True),
        (Marker(1000.0, pid=7), None, False),
        (Marker(1000.0, pid=7, pid_start_ticks=55), 55, True),
        (Marker(1000.0, pid=7, pid_start_ticks=55), 56, False),
        (Marker(1000.0, pid=7, expires_at=999.0), 55, False),
        (Marker(1000.0 - 4000, pid=7), 55, False),
    ],
)
def test_a_marker_counts_until_it_expires_or_its_process_ends_or_an_hour(
    marker: Marker, pid_start_ticks: int | None, expected: bool
) -> None:
    assert is_live(marker, now=1000.0, pid_start_ticks=pid_start_ticks) is expected


@pytest.mark.parametrize(
    ("content", "marker"),
    [
        (b"", Marker(5.0)),
        (b" \n", Marker(5.0)),
        (b"{}", Marker(5.0)),
        (b'{"reason": "dump", "pid": 7}', Marker(5.0, pid=7)),
        (b'{"pid": null, "expires_at": 9.5}', Marker(5.0, expires_at=9.5)),
        (b'{"expires_at": "1970-01-01T00:01:00Z"}', Marker(5.0, expires_at=60.0)),
        (b'{"expires_at": "1970-01-01T01:01:00+01:00"}', Marker(5.0, expires_at=60.0)),
        (b'{"something": "else"}', Marker(5.0)),
        (b'{"reason": [1]}', Marker(5.0)),
    ],
)
def test_a_marker_is_read(content: bytes, marker: Marker) -> None:
    assert parse(content, written_at=5.0) == marker


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"busy", "Expecting value"),
        (b"[]", "must be a JSON object"),
        (b"[" * 60000, "nested too deep"),
        (b"\xff", "can't decode"),
        (b'{"pid": "7"}', "pid must be a whole number from 1 to 4194304"),
        (b'{"pid": 0}', "pid must be a whole number from 1 to 4194304"),
        (b'{"pid": true}', "pid must be a whole number from 1 to 4194304"),
        (b'{"pid": 1180591620717411303424}', "pid must be a whole number from 1 to 4194304"),
        (b'{"pid": 7, "pid_start_ticks": 0}', "pid_start_ticks must be a positive whole number"),
        (b'{"expires_at": ' + b"9" * 400 + b"}", "expires_at must be unix seconds over 0"),
        (b'{"expires_at": NaN}', "expires_at must be unix seconds over 0"),
        (b'{"expires_at": 0}', "expires_at must be unix seconds over 0"),
        (b'{"expires_at": "soon"}', "Invalid isoformat"),
        (
            b'{"expires_at": "2026-01-01T00:00:00"}',
            "expires_at must be unix seconds over 0, or RFC 3339",
        ),
        (b'{"expires_at": true}', "expires_at must be unix seconds over 0, or"),
        (b'{"reason": "dum', "Unterminated string"),
    ],
)
def test_what_is_no_marker_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(content, written_at=5.0)


@pytest.mark.parametrize(
    ("candidates", "ancestors", "expected"),
    [
        ([], {}, []),
        ([5], {5: [1]}, [5]),
        ([5, 6, 7], {5: [1], 6: [5, 1], 7: [6, 5, 1]}, [5]),
        ([5, 7], {5: [1], 7: [6, 5, 1]}, [5]),
        ([5, 6], {5: [1], 6: [1]}, [5, 6]),
        ([9, 5], {5: [1], 9: [8, 1]}, [5, 9]),
        ([1, 5], {1: [], 5: [1]}, [1]),
    ],
)
def test_the_agent_is_the_root_of_the_tree(
    candidates: list[int], ancestors: dict[int, list[int]], expected: list[int]
) -> None:
    assert roots(candidates, ancestors) == expected
