"""The stages on the way from the passed limit to a connected host, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from demo.stack.http import Json


class Stages:
    """When each stage was reached, by its name."""

    def __init__(self) -> None:
        self._reached: dict[str, datetime] = {}

    def reached(self, stage: str, at: datetime | None = None) -> None:
        self._reached[stage] = at or datetime.now(UTC)

    def take_alert(self, alert: Json) -> None:
        """Note when Prometheus began to count an alert as active."""
        self.reached("alert fires", _time(alert["activeAt"]))

    def take_refusal(self, restart: Json) -> None:
        self.reached(
            f"webhook at the responder: refused, {restart['outcome']}",
            _time(restart["requested_at"]),
        )

    def take_restart(self, restart: Json, service_log_line: str) -> None:
        """Note the stages of a restart from the responder's record and the service's own log."""
        ended = {
            step["step"]: datetime.fromtimestamp(step["started_at"], UTC)
            + timedelta(seconds=step["seconds"])
            for step in restart["steps"]
        }
        self.reached("webhook again: admitted", _time(restart["requested_at"]))
        self.reached("SSH command sent", _time(restart["command_sent_at"]))
        self.reached(
            "the service starts a new process", _time(service_log_line.split(maxsplit=1)[0])
        )
        self.reached("ready", ended["ready"])
        self.reached("connected", ended["reconnect"])
        self.reached("released: restarted", _time(restart["finished_at"]))

    def table(self) -> str:
        """Return the stages in the order they were reached, with times from the first on."""
        rows = []
        in_order = sorted(self._reached.items(), key=lambda item: item[1])
        first = before = in_order[0][1]
        for stage, at in in_order:
            clock = f"{at.astimezone():%H:%M:%S.%f}"[:-3]
            rows.append((stage, clock, _seconds(at - first), _seconds(at - before)))
            before = at
        return _aligned(("stage", "at", "after the limit", "after the last"), rows)


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.2f} s"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows under a header, the first column to the left, the others to the right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        right = [f"{cell:>{width}}" for cell, width in others]
        return "  ".join([f"   {first[0]:<{first[1]}}", *right]).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])
