"""``python -m bench.slow_clients``: both programs beside 500 clients that never finish a request.

For each program, in turn without and with the siege: requests of clients that do finish, at a
steady rate, each over a connection of its own. 100 alerts a second to the responder, a scrape a
second of both. Bars: every request is answered 2xx, and none takes longer than a second.
Writes bench/slow_clients.json.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles

from bench.exporter import REPOSITORY
from demo.stack.http import status
from demo.stack.own_programs import exporter
from demo.stack.responder import alert, notification
from demo.stack.responder_with_peers import face, peers
from demo.stack.stalling_clients import Siege

RESULT = REPOSITORY / "bench/slow_clients.json"
CLIENTS = 500
SECONDS = 20
LONGEST_SECONDS = 1.0

Ask = Callable[[int], int]
"""Sends the request with this number; returns the status."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What the requests of one kind met. Times are milliseconds."""

    what: str
    slow_clients: int
    requests: int
    lost: int
    p50_ms: float
    p99_ms: float
    longest_ms: float


def main() -> int:
    """Measure, print, write; 1 when a bar is missed."""
    argparse.ArgumentParser(prog="python -m bench.slow_clients", description=__doc__).parse_args()
    load = os.getloadavg()[0]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="memleash-bench-") as scratch:
        folder = Path(scratch)
        with exporter(folder / "exporter") as port:
            rows += besieged(port, {"scrape of the exporter": (1, scrape(port))})
        with peers() as world, face(folder / "responder", world) as served:
            asked = {
                "alert": (100, tell(served.port)),
                "scrape of the responder": (1, scrape(served.port)),
            }
            rows += besieged(served.port, asked)
    met = all(row.lost == 0 and row.longest_ms <= LONGEST_SECONDS * 1000 for row in rows)
    result = {
        "command": "python -m bench.slow_clients",
        "load_before": load,
        "rows": [dataclasses.asdict(row) for row in rows],
        "met": met,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for row in rows:
        print(
            f"{row.what:26} {row.slow_clients:4} slow  {row.requests:5} asked  {row.lost:3} lost"
            f"  p50 {row.p50_ms:7.1f}  p99 {row.p99_ms:7.1f}  longest {row.longest_ms:7.1f} ms"
        )
    return 0 if met else 1


def besieged(port: int, asked: dict[str, tuple[int, Ask]]) -> Iterator[Row]:
    """Measure every kind of request at once, without slow clients and with them."""
    for slow_clients in (0, CLIENTS):
        with Siege(port, slow_clients).laid() if slow_clients else contextlib.nullcontext():
            with ThreadPoolExecutor(len(asked)) as kinds:
                runs = {
                    what: kinds.submit(steadily, rate, ask) for what, (rate, ask) in asked.items()
                }
            for what, run in runs.items():
                seconds, lost = run.result()
                cuts = quantiles(seconds, n=100, method="inclusive")
                yield Row(
                    what,
                    slow_clients,
                    len(seconds),
                    lost,
                    cuts[49] * 1000,
                    cuts[98] * 1000,
                    max(seconds) * 1000,
                )


def steadily(rate: int, ask: Ask) -> tuple[list[float], int]:
    """Ask ``rate`` times a second, each when it is due; return seconds from then, and losses."""
    began = time.monotonic()

    def one(number: int) -> tuple[float, bool]:
        due = began + number / rate
        time.sleep(max(due - time.monotonic(), 0))
        try:
            answered = 200 <= ask(number) < 300
        except OSError:
            answered = False
        return time.monotonic() - due, answered

    with ThreadPoolExecutor(32 if rate > 1 else 1) as clients:
        results = list(clients.map(one, range(rate * SECONDS)))
    return [seconds for seconds, _ in results], sum(not answered for _, answered in results)


def scrape(port: int) -> Ask:
    """Return what asks for the metrics."""
    return lambda _: status(port, "GET", "/metrics")


def tell(port: int) -> Ask:
    """Return what tells of another alert each time; none asks for anything to be done."""
    numbers = itertools.count()

    def ask(_: int) -> int:
        body = notification(alert(next(numbers), alertname="AgentBusyTooLong", remediation=""))
        return status(port, "POST", "/api/v1/alertmanager", body)

    return ask


if __name__ == "__main__":
    raise SystemExit(main())
