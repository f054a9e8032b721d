"""Logging as Prometheus components do it: one line an event, logfmt or JSON, on stderr.

A message is constant; what varies goes into ``extra`` (``log.info("restarted", extra={"host":
host})``) and is written as key=value. Control characters never reach the terminal raw.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

LEVELS = ("debug", "info", "warn", "error")
FORMATS = ("logfmt", "json")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PLAIN = re.compile(r"[^\s\"=\\\x00-\x1f\x7f-\x9f]+")
_LEVEL_NAMES = {logging.WARNING: "warn", logging.CRITICAL: "error"}


def configure(level: str = "info", log_format: str = "logfmt") -> None:
    """Send every log record to stderr at ``level`` (of LEVELS) in ``log_format`` (of FORMATS)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Logfmt())
    logging.basicConfig(
        level={"warn": logging.WARNING}.get(level, level.upper()), handlers=[handler], force=True
    )


def _pairs(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    when = datetime.fromtimestamp(record.created, tz=UTC)
    yield "ts", when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    yield "level", _LEVEL_NAMES.get(record.levelno, record.levelname.lower())
    yield "logger", record.name
    yield "msg", record.getMessage()
    for name, value in vars(record).items():
        if name not in _STANDARD:
            yield name, value
    if record.exc_info:
        yield "error", logging.Formatter().formatException(record.exc_info)


class _Logfmt(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{name}={_quoted(value)}" for name, value in _pairs(record))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(dict(_pairs(record)), default=str)


def _quoted(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
