"""``python -m bench.webhook``: answer times on SQLite and PostgreSQL, beside what stores nothing.

Bars: p99 with 8 clients and 100 alerts at most 50 ms on SQLite; a notification of 10,000 alerts
answered within 10 times the bare view's time; no alert lost. Writes bench/webhook.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench.webhook.load import Result, run
from demo.stack.http import answers
from demo.stack.own_programs import ENVIRONMENT, listens, running
from demo.stack.ports import free_port
from demo.stack.postgres import running_postgres
from demo.stack.processes import Program, wait_until
from demo.stack.responder import alert, lonely, notification, responder
from demo.stack.tools import REPOSITORY

ALERTS = (1, 100, 10_000)
CLIENTS = (1, 8, 32)
EACH = {1: 60, 100: 40, 10_000: 2}
"""Notifications a client sends, by alerts in each."""
WARM = 20
RESULT = REPOSITORY / "bench/webhook.json"

Count = Callable[[], int]


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A server under load; ``recorded`` counts the alerts it stored, where it stores any."""

    name: str
    port: int
    path: str
    recorded: Count | None = None


def main() -> int:
    """Measure, print the table, write the result; 1 when a bar is missed."""
    argparse.ArgumentParser(prog="python -m bench.webhook", description=__doc__).parse_args()
    load, rows = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory(prefix="memleash-bench-") as scratch:
        folder = Path(scratch)
        for target in (_bare, _debian_webhook, _sqlite, _postgres):
            with target(folder) as server:
                if server is not None:
                    rows += list(_measure(server))
    result = {"command": "python -m bench.webhook", "load_before": load, "rows": rows}
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return _judge(rows)


def _measure(target: Target) -> Iterator[dict[str, object]]:
    address = ("127.0.0.1", target.port)
    made = 0

    def body(alerts: int, first: int) -> Callable[[int], bytes]:
        return lambda n: notification(*(alert(first + n * alerts + a) for a in range(alerts)))

    run(address, target.path, 1, WARM, body(1, made), 1)
    made += WARM
    for alerts in ALERTS:
        for clients in CLIENTS:
            each = EACH[alerts]
            result = run(address, target.path, clients, each, body(alerts, made), alerts)
            made += clients * each * alerts
            row = {"target": target.name, "alerts": alerts, "clients": clients}
            row |= dataclasses.asdict(result) | {"lost": None}
            if target.recorded is not None:
                row["lost"] = made - _settled(target.recorded, made)
            _show(target, alerts, clients, result, row["lost"])
            yield row


def _settled(recorded: Count, expected: int) -> int:
    """Return how many alerts are in the record once all are, or after ten minutes."""
    wait_until(
        f"{expected} alerts in the record",
        lambda: recorded() >= expected,
        timeout_seconds=600,
        every_seconds=0.5,
        seen=recorded,
    )
    return recorded()


def _show(target: Target, alerts: int, clients: int, result: Result, lost: object) -> None:
    print(
        f"{target.name:<16} {alerts:>6} alerts {clients:>3} clients"
        f"  p50 {result.p50 * 1000:>8.1f} ms  p99 {result.p99 * 1000:>8.1f} ms"
        f"  {result.alerts_per_second:>9.0f} alerts/s  refused {result.refused}"
        f"  lost {'-' if lost is None else lost}",
        flush=True,
    )


def _judge(rows: list[dict[str, object]]) -> int:
    def of(target: str, alerts: int, clients: int, what: str) -> float:
        (value,) = [
            row[what]
            for row in rows
            if (row["target"], row["alerts"], row["clients"]) == (target, alerts, clients)
        ]
        return float(str(value))

    p99 = of("sqlite", 100, 8, "p99") * 1000
    ratio = of("sqlite", 10_000, 1, "p50") / of("bare flask", 10_000, 1, "p50")
    lost = sum(int(str(row["lost"])) for row in rows if row["lost"] is not None)
    print(f"\nSQLite, 8 clients, 100 alerts: p99 {p99:.1f} ms (bar: 50 ms)")
    print(f"SQLite, 10,000 alerts: {ratio:.1f} x the bare view (bar: 10 x)")
    print(f"alerts lost: {lost} (bar: 0)")
    return int(p99 > 50 or ratio > 10 or lost != 0)


@contextmanager
def _bare(folder: Path) -> Iterator[Target]:
    port = free_port()
    argv = [sys.executable, "-m", "bench.webhook.bare", str(port)]
    program = Program(
        "bare",
        argv,
        folder / "bare.log",
        lambda: answers(f"http://127.0.0.1:{port}/-/healthy"),
        ENVIRONMENT,
    )
    with running(program):
        yield Target("bare flask", port, "/api/v1/alertmanager")


@contextmanager
def _debian_webhook(folder: Path) -> Iterator[Target | None]:
    binary = shutil.which("webhook")
    if binary is None:
        print("Debian's webhook is not installed: not measured")
        yield None
        return
    port = free_port()
    hooks = folder / "hooks.json"
    true = shutil.which("true") or "/bin/true"
    hooks.write_text(json.dumps([{"id": "true", "execute-command": true}]), encoding="utf-8")
    argv = [binary, "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(port)]
    with running(Program("webhook", argv, folder / "webhook.log", lambda: listens(port))):
        yield Target("webhook true", port, "/hooks/true")


@contextmanager
def _sqlite(folder: Path) -> Iterator[Target]:
    database = folder / "responder.db"

    def recorded() -> int:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM memleash_alerts").fetchone()[0])

    with _responder(folder, "sqlite", f"sqlite:///{database}", recorded) as target:
        yield target


@contextmanager
def _postgres(folder: Path) -> Iterator[Target]:
    with running_postgres() as server:

        def recorded() -> int:
            return int(server.query("SELECT count(*) FROM memleash_alerts"))

        with _responder(folder, "postgres", server.url, recorded) as target:
            yield target


@contextmanager
def _responder(folder: Path, name: str, database: str, recorded: Count) -> Iterator[Target]:
    """A responder whose one host is over its limit in every alert, and cannot be reached."""
    port = free_port()
    config = lonely(folder, database, exporter={"timeout": "1s"})
    one = responder(folder, port, config, name)
    with running(one.program):
        yield Target(name, port, "/api/v1/alertmanager", recorded)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}: {error.stderr!r}")
