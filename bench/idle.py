"""What a responder costs that has nothing to do: `python -m bench.idle`.

A responder runs on SQLite, then one on PostgreSQL, for a host and peers that do not answer. After
it has settled, one minute is counted: CPU seconds, wake-ups (voluntary context switches of all its
threads), what it wrote, and the transactions that PostgreSQL committed and the rows it changed.
Each thread's part is given by its name, as py-spy sees it. The bars: 1 % of a core, 5 wake-ups a
second, at most 25 threads, 100 MiB. Writes bench/idle.json; exits 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from demo.stack.ports import free_port
from demo.stack.postgres import running_postgres
from demo.stack.responder import lonely, responder

RESULT = Path(__file__).with_suffix(".json")
MAX_CPU_SHARE, MAX_WAKEUPS, MAX_THREADS, MAX_MIB = 0.01, 5.0, 25, 100

Count = Callable[[], dict[str, float]]


def main() -> int:
    """Measure both, write the figures, and say whether the bars hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--settle", type=float, default=70)
    options = parser.parse_args()
    rows = {}
    for name, opened in (("sqlite", _sqlite), ("postgresql", _postgresql)):
        with (
            tempfile.TemporaryDirectory(prefix="memleash-bench-") as folder,
            opened(Path(folder)) as (url, count),
        ):
            rows[name] = _idle(Path(folder), url, count, options.settle, options.seconds)
        print(name, json.dumps(rows[name], indent=2))
    result = {"command": "python -m bench.idle", "seconds": options.seconds, **rows}
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    holds = all(_holds(row) for row in rows.values())
    print(f"the bars: {'hold' if holds else 'MISSED'}")
    return 0 if holds else 1


def _holds(row: dict[str, Any]) -> bool:
    a_second = row["a_second"]
    cheap = a_second["cpu_seconds"] <= MAX_CPU_SHARE and a_second["wakeups"] <= MAX_WAKEUPS
    small = row["resident_mib"] <= MAX_MIB
    return bool(
        cheap and small and sum(one["count"] for one in row["threads"].values()) <= MAX_THREADS
    )


@contextlib.contextmanager
def _sqlite(folder: Path) -> Iterator[tuple[str, Count]]:
    yield f"sqlite:///{folder}/responder.db", dict


@contextlib.contextmanager
def _postgresql(_folder: Path) -> Iterator[tuple[str, Count]]:
    asked = (
        "SELECT xact_commit, tup_inserted + tup_updated + tup_deleted"
        " FROM pg_stat_database WHERE datname = 'memleash'"
    )
    with running_postgres() as server:

        def count() -> dict[str, float]:
            commits, rows = server.query(asked).split("|")
            return {"commits": float(commits), "rows_changed": float(rows)}

        yield server.url, count


def _idle(
    folder: Path, url: str, count: Count, settle_seconds: float, seconds: float
) -> dict[str, Any]:
    """Return what an idle responder on the database ``url`` costs a second, and its threads."""
    run = responder(folder, free_port(), lonely(folder, url))
    run.program.start()
    try:
        time.sleep(settle_seconds)
        before, began = _spent(run.program.pid) | count(), time.monotonic()
        threads_before = _spent_by_thread(run.program.pid)
        time.sleep(seconds)
        threads_after = _spent_by_thread(run.program.pid)
        after, took = _spent(run.program.pid) | count(), time.monotonic() - began
        return {
            "resident_mib": round(psutil.Process(run.program.pid).memory_info().rss / 2**20, 1),
            "a_second": {name: round((after[name] - before[name]) / took, 4) for name in before},
            "threads": _threads(run.program.pid, threads_before, threads_after, took),
        }
    finally:
        run.program.stop()


def _spent(pid: int) -> dict[str, float]:
    process = psutil.Process(pid)
    cpu = process.cpu_times()
    return {
        "cpu_seconds": cpu.user + cpu.system,
        "wakeups": sum(thread["wakeups"] for thread in _spent_by_thread(pid).values()),
        "bytes_written": float(process.io_counters().write_chars),
    }


def _spent_by_thread(pid: int) -> dict[int, dict[str, float]]:
    """Return the CPU seconds and the voluntary context switches of each thread, by its id."""
    spent = {}
    for thread in psutil.Process(pid).threads():
        status = Path(f"/proc/{pid}/task/{thread.id}/status").read_text(encoding="utf-8")
        switches = re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M)[0]
        cpu_seconds = thread.user_time + thread.system_time
        spent[thread.id] = {"cpu_seconds": cpu_seconds, "wakeups": float(switches)}
    return spent


def _threads(
    pid: int,
    before: dict[int, dict[str, float]],
    after: dict[int, dict[str, float]],
    seconds: float,
) -> dict[str, dict[str, float]]:
    """Return what the threads of each name, numbers left out, spent a second."""
    spy = Path(sys.executable).parent / "py-spy"
    command = [str(spy), "dump", "--json", "--pid", str(pid)]
    shown = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    rows: dict[str, dict[str, float]] = {}
    for one in shown:
        name = re.sub(r"[-_]?\d+(?=$| )", "", one["thread_name"])
        row = rows.setdefault(name, {"count": 0, "cpu_seconds": 0.0, "wakeups": 0.0})
        row["count"] += 1
        thread = one["os_thread_id"]
        if thread in before and thread in after:
            for what in ("cpu_seconds", "wakeups"):
                spent = after[thread][what] - before[thread][what]
                row[what] = round(row[what] + spent / seconds, 4)
    return dict(sorted(rows.items()))


if __name__ == "__main__":
    sys.exit(main())
