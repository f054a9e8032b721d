"""Log lines: one line an event, whatever is in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from memleash_toolkit import logs


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_logfmt_has_time_level_logger_message_and_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logging.getLogger("some.place").info("agent found", extra={"agent": "a", "pid": 7})
    line = capsys.readouterr().err
    assert line.startswith("ts=")
    assert line.endswith('level=info logger=some.place msg="agent found" agent=a pid=7\n')


def test_logfmt_keeps_control_characters_from_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure()
    logging.getLogger("x").warning("odd", extra={"name_": 'a b"c\n\x1b[31m', "empty": ""})
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert r'name_="a b\"c\n\u001b[31m" empty=""' in line


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(log_format="json")
    logging.getLogger("x").error("odd", extra={"value": {1}, "text": "a\nb"})
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["level"], event["msg"], event["text"], event["value"]) == (
        "error",
        "odd",
        "a\nb",
        "{1}",
    )


def test_a_trace_stays_on_the_line_of_its_event(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    try:
        int("k")
    except ValueError:
        logging.getLogger("x").exception("broke")
    (line,) = capsys.readouterr().err.splitlines()
    assert "level=error" in line
    assert "ValueError" in line


@pytest.mark.parametrize(
    ("level", "shown"),
    [("debug", "diwe"), ("info", "iwe"), ("warn", "we"), ("error", "e")],
)
def test_a_level_shows_itself_and_what_is_worse(
    capsys: pytest.CaptureFixture[str], level: str, shown: str
) -> None:
    logs.configure(level)
    logger = logging.getLogger("x")
    for write in (logger.debug, logger.info, logger.warning, logger.error):
        write("event")
    lines = capsys.readouterr().err.splitlines()
    assert "".join(line.split("level=")[1][0] for line in lines) == shown
