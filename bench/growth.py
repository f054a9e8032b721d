"""What grows with hosts, alerts and history, and how: `python -m bench.growth`.

A responder on SQLite, as a process of its own, at a base and at ten times as much of one thing and
the base of the others. The ratio tells how a figure grows: 1 does not, 10 grows in proportion. No
figure may grow faster than that. The rows are made in its database before it starts; nobody is
restarted, and no peer answers.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.restart import cpu_seconds
from demo.stack.ports import free_port
from demo.stack.processes import wait_until
from demo.stack.responder import AGENT, UNUSED, Responder, alert, lonely, responder
from memleash_responder.adapters.database import schema
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.migrations import upgrade

RESULT = Path(__file__).with_suffix(".json")
MOST_TIMES = 12.0
"""Ten times as much, and what two runs on one machine differ by."""
ROUNDS = 15


@dataclasses.dataclass(frozen=True, slots=True)
class Size:
    """How much there is of what can grow."""

    hosts: int = 1000
    alerts: int = 10_000
    """In the record."""
    restarts: int = 1000
    """In the history."""


BASE = Size()
GROWN = {
    "hosts": dataclasses.replace(BASE, hosts=10 * BASE.hosts),
    "alerts": dataclasses.replace(BASE, alerts=10 * BASE.alerts),
    "restarts": dataclasses.replace(BASE, restarts=10 * BASE.restarts),
}
PAGES = {
    "GET /metrics": "/metrics",
    "GET /": "/",
    "GET /api/v1/hosts": "/api/v1/hosts?limit=100",
    "GET /api/v1/restarts": "/api/v1/restarts?limit=100",
    "GET /api/v1/alerts": "/api/v1/alerts?limit=100",
    "GET /api/v1/sd/ping-targets": "/api/v1/sd/ping-targets",
}


def main() -> int:
    """Measure every size, write the table, and say whether anything grows faster."""
    load = os.getloadavg()[0]
    base = measured(BASE)
    grown = {name: measured(size) for name, size in GROWN.items()}
    rows = {
        what: {"base": round(base[what], 2)}
        | {f"10 x {name}": round(grown[name][what], 2) for name in GROWN}
        for what in base
    }
    result = {"command": "python -m bench.growth", "load_before": load, "rows": rows}
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"{'':34}{'base':>10}" + "".join(f"{f'10 x {name}':>22}" for name in GROWN))
    worst = 0.0
    for what, row in rows.items():
        ratios = {name: row[f"10 x {name}"] / row["base"] for name in GROWN}
        worst = max(worst, *ratios.values())
        cells = "".join(f"{row[f'10 x {n}']:>12.1f} ({ratios[n]:5.1f} x)" for n in GROWN)
        print(f"{what:34}{row['base']:>10.1f}{cells}")
    holds = worst <= MOST_TIMES
    print(f"the fastest grows {worst:.1f} x, at most {MOST_TIMES:g}: ", end="")
    print("holds" if holds else "MISSED")
    return 0 if holds else 1


def measured(size: Size) -> dict[str, float]:
    """Return the figures of a responder with so much of everything."""
    with tempfile.TemporaryDirectory(prefix="memleash-bench-") as scratch:
        folder = Path(scratch)
        database = f"sqlite:///{folder / 'responder.db'}"
        fill(database, size)
        config = lonely(folder, database)
        (folder / "hosts.json").write_text(json.dumps(inventory(size)), encoding="utf-8")
        config["inventory"] = {"files": [str(folder / "hosts.json")]}
        one = responder(folder, free_port(), config)
        try:
            began = time.perf_counter()
            one.program.start()
            started = time.perf_counter() - began
            return {"start, s": started, **figures(one)}
        finally:
            one.program.stop()


def figures(one: Responder) -> dict[str, float]:
    """Return what one running responder takes."""
    rows = {
        f"{name}, ms": fastest_ms(lambda path=path: fetch(one, path))  # type: ignore[misc]
        for name, path in PAGES.items()
    }
    number = iter(range(10**9, 2 * 10**9))
    rows["webhook of 100 alerts, ms"] = fastest_ms(
        lambda: one.tell(*(alert(next(number), host="host-0") for _ in range(100)))
    )
    wait_until("all to be handled", lambda: one.metric("memleash_responder_queue_length") == 0)
    rows["webhook to the record, ms"] = fastest_ms(lambda: told_and_recorded(one, next(number)))
    before, began = cpu_seconds(one.program.pid), time.monotonic()
    wait_until("some idle time", lambda: time.monotonic() - began > 10, every_seconds=1)
    idle = (cpu_seconds(one.program.pid) - before) / (time.monotonic() - began)
    rows["CPU while idle, % of a core"] = 100 * idle
    rows["RSS, MiB"] = resident_mib(one.program.pid)
    return rows


def told_and_recorded(one: Responder, number: int) -> None:
    """Tell of one alert, and wait until it is in the record."""
    one.tell(alert(number, host="host-0"))
    path = "/api/v1/alerts?limit=1"
    while f"{number:016x}" not in fetch(one, path):
        time.sleep(0.001)


def fill(url: str, size: Size) -> None:
    """Make the rows of a past with so much of everything."""
    database, now = Database(url), time.time()
    upgrade(database)
    rows: dict[sa.Table, list[dict[str, Any]]] = {
        schema.alerts: [past_alert(number, size, now) for number in range(size.alerts)],
        schema.restarts: [past_restart(number, size, now) for number in range(size.restarts)],
        schema.hosts: [
            {"host": f"host-{number}", "state": "connected", "changed_at": now, "drained": False}
            for number in range(size.hosts)
        ],
    }
    with database.write() as connection:
        for table, values in rows.items():
            connection.execute(table.insert(), values)
    database.close()


def past_alert(number: int, size: Size, now: float) -> dict[str, Any]:
    at = now - 86_400 - number
    return {
        "fingerprint": f"past-{number}",
        "starts_at": at,
        "alertname": "AgentMemoryHardLimitExceeded",
        "host": f"host-{number % size.hosts}",
        "agent": AGENT,
        "remediation": "restart",
        "status": "resolved",
        "first_received_at": at,
        "last_received_at": at,
        "deliveries": 3,
    }


def past_restart(number: int, size: Size, now: float) -> dict[str, Any]:
    at = now - 86_400 - 60 * number
    return {
        "id": f"past-{number}",
        "host": f"host-{number % size.hosts}",
        "agent": AGENT,
        "requested_at": at,
        "requested_by": "alert",
        "fingerprint": f"past-{number}",
        "alert_started_at": at,
        "forced": False,
        "step": "release",
        "command_sent_at": at + 1,
        "command_sent_boot_id": "past",
        "command_sent_uptime": 1.0,
        "outcome": "restarted",
        "reason": "a new process is ready and the host is connected",
        "finished_at": at + 20,
        "facts": {"resident_bytes": 11 * 2**30, "limit_bytes": 10 * 2**30},
        "steps": [{"step": name, "started_at": at, "seconds": 1.0} for name in ("admit", "hold")],
    }


def inventory(size: Size) -> list[dict[str, Any]]:
    return [
        {"targets": [UNUSED], "labels": {"host": f"host-{number}"}} for number in range(size.hosts)
    ]


def fastest_ms(work: Callable[[], object]) -> float:
    """Return the fastest of some rounds, the one that the machine's other work disturbed least."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took) * 1000


def fetch(one: Responder, path: str) -> str:
    with urllib.request.urlopen(f"{one.url}{path}", timeout=60) as answer:
        return str(answer.read().decode())


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    sys.exit(main())
