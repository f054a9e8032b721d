"""memleashctl's output: nothing from outside acts on a terminal."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from memleash_responder.ctl.answers import understood
from memleash_responder.ctl.output import moment, plain, print_json, print_table


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain text", "plain text"),
        ("ümläut 漢字 ✓", "ümläut 漢字 ✓"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("two\nlines\ttab", "two\\nlines\\ttab"),
        ("\u202eright to left", "\\u202eright to left"),
        ("\x9b31m", "\\x9b31m"),
        ("\ud800", "\\ud800"),
        (7, "7"),
    ],
)
def test_control_characters_are_shown_not_obeyed(value: object, shown: str) -> None:
    assert plain(value) == shown


def test_a_table_is_aligned_and_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["HOST", "WHY"], [["a", "\x1b[2J"], ["long-name", ""]])

    assert capsys.readouterr().out.splitlines() == [
        "HOST       WHY",
        "a          \\x1b[2J",
        "long-name",
    ]


def test_a_time_is_shown_in_utc() -> None:
    assert moment(understood(datetime, "2026-01-01T01:00:00.5+02:00")) == "2025-12-31T23:00:00Z"


def test_json_is_ascii_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"host": "\x1b[31m\u202e"})
    out = capsys.readouterr().out

    assert out.isascii()
    assert "\x1b" not in out
    assert json.loads(out) == {"host": "\x1b[31m\u202e"}
