"""What 10,000 hosts cost beside 1,000: `python -m bench.fleet`; about five minutes.

For each size a responder on SQLite, a Prometheus with our rules and samples of every host, and an
inventory in YAML; both run side by side, and each request is made to the one and then to the other.

1. Pages and API: the median of each, and of the fleet's page when it has to ask Prometheus anew.
   What is of one size may cost 10,000 hosts 3 times of what it costs 1,000, what lists every host
   12 times.
2. Inventory: the CPU time to read it as YAML and as JSON, and until one of a hundred files that
   changed is in force; the bar is 0.5 s for 10,000 hosts in YAML.
3. Reload: the longest request while the one file of all 10,000 hosts changes again and again,
   beside the longest while nothing changes.

Writes bench/fleet.json; exits 1 when a bar is missed. `--only inventory` needs no Prometheus.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.growth import fetch
from bench.rules import configuration
from bench.rules_fleet import serve
from demo.stack.http import answers, get
from demo.stack.ports import free_port
from demo.stack.processes import Program, wait_until
from demo.stack.responder import UNUSED, Responder, lonely, responder
from demo.stack.tools import REPOSITORY, Tools, find
from memleash_responder.adapters.database import schema
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.migrations import upgrade
from memleash_responder.adapters.inventory import Inventory, load
from memleash_responder.settings import InventorySettings

RESULT = Path(__file__).with_suffix(".json")
SIZES = (1_000, 10_000)
READ_SIZES = (1_000, 10_000, 30_000)
FILES = 100
SAME_SIZE = {
    "/": "/",
    "/, another page": "/?offset=500",
    "/, a search": "/?search=h0099",
    "/, busy": "/?show=busy",
    "/api/v1/hosts (100)": "/api/v1/hosts?limit=100",
    "/api/v1/status": "/api/v1/status",
}
EVERY_HOST = {"/metrics": "/metrics", "/api/v1/sd/ping-targets": "/api/v1/sd/ping-targets"}
ANEW = "/, asking Prometheus"
ANEW_AFTER_SECONDS = 5.5
MOST_TIMES = {**dict.fromkeys([*SAME_SIZE, ANEW], 3.0), **dict.fromkeys(EVERY_HOST, 12.0)}
MOST_READ_SECONDS = 0.5
RELOAD_SECONDS = 20.0


def main() -> int:
    """Measure, write the figures, and say whether the bars hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--only", choices=["inventory", "pages"])
    options = parser.parse_args()
    result: dict[str, Any] = {"command": "python -m bench.fleet", "load": os.getloadavg()[0]}
    if options.only != "pages":
        result["inventory_cpu_seconds"] = inventory_figures(options.rounds // 4 + 2)
    if options.only != "inventory":
        result |= page_figures(options.rounds)
    print(json.dumps(result, indent=2))
    if options.only is None:
        RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    missed = misses(result)
    print("the bars: " + (f"MISSED by {', '.join(missed)}" if missed else "hold"))
    return 1 if missed else 0


def misses(result: dict[str, Any]) -> list[str]:
    """Return what is over its bar."""
    pages = [
        name for name, row in result.get("pages", {}).items() if row["times"] > MOST_TIMES[name]
    ]
    read = result.get("inventory_cpu_seconds", {}).get("10000", {}).get("yaml", 0.0)
    return [*pages, *(["inventory"] if read > MOST_READ_SECONDS else [])]


# -- the inventory --------------------------------------------------------------------------------


def inventory(hosts: Iterable[int]) -> list[dict[str, Any]]:
    return [
        {
            "targets": [UNUSED],
            "labels": {"host": f"h{n:05d}", "zone": f"z{n % 3}", "rack": f"rack-{n // 40}"},
        }
        for n in hosts
    ]


def as_yaml(groups: list[dict[str, Any]]) -> str:
    return yaml.dump(groups, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)


def inventory_figures(rounds: int) -> dict[str, dict[str, float]]:
    """Return what the inventory of each size takes, in CPU seconds."""
    with tempfile.TemporaryDirectory(prefix="memleash-bench-") as folder:
        return {str(size): _read_seconds(Path(folder), size, rounds) for size in READ_SIZES}


def _read_seconds(folder: Path, size: int, rounds: int) -> dict[str, float]:
    files = {"yaml": folder / "all.yml", "json": folder / "all.json"}
    files["yaml"].write_text(as_yaml(inventory(range(size))), encoding="utf-8")
    files["json"].write_text(json.dumps(inventory(range(size))), encoding="utf-8")
    row = {
        kind: statistics.median(cpu_seconds(lambda file=file: load([file])) for _ in range(rounds))  # type: ignore[misc]
        for kind, file in files.items()
    }
    many = folder / str(size)
    many.mkdir()
    each = size // FILES
    for number in range(FILES):
        groups = inventory(range(number * each, (number + 1) * each))
        (many / f"{number:02}.yml").write_text(as_yaml(groups), encoding="utf-8")
    read = Inventory(InventorySettings((many / "*.yml",)))

    def change(number: int) -> None:
        groups = [*inventory(range(each)), *inventory([10**6 + number])]
        replace(many / "00.yml", as_yaml(groups))

    took = []
    for number in range(rounds):
        change(number)
        took.append(cpu_seconds(lambda name=f"h{10**6 + number}": read.get(name)))  # type: ignore[misc]
    row["one_of_100_files"] = statistics.median(took)
    row["nothing_changed"] = statistics.median(cpu_seconds(read.hosts) for _ in range(rounds))
    return {name: round(value, 4) for name, value in row.items()}


def replace(file: Path, text: str) -> None:
    """Replace a file in one step, as configuration management does."""
    new = file.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return what work that waits for nobody takes, whatever else the machine does."""
    began = time.process_time()
    work()
    return time.process_time() - began


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# -- pages and API --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fleet:
    """A responder about so many hosts."""

    hosts: int
    folder: Path
    responder: Responder


def page_figures(rounds: int) -> dict[str, Any]:
    """Return what requests take with each size, and while the inventory is read again."""
    tools = find()
    with ExitStack() as running:
        urls = {size: start_prometheus(tools, size, running) for size in SIZES}
        fleets = [start(size, url, running) for size, url in urls.items()]
        for size, url in urls.items():
            wait_until("samples of every host", lambda url=url, n=size: recorded(url) == n)  # type: ignore[misc]
        for fleet in fleets:
            wait_until("the page", lambda one=fleet: "10 GiB" in fetch(one.responder, "/"))  # type: ignore[misc]
        pages = {
            name: compared(fleets, path, rounds) for name, path in (SAME_SIZE | EVERY_HOST).items()
        }
        pages[ANEW] = compared(fleets, "/", max(3, rounds // 4), rest_seconds=ANEW_AFTER_SECONDS)
        longest = {
            "nothing_changes": longest_ms(fleets[-1], changing=False),
            "inventory_changes": longest_ms(fleets[-1], changing=True),
        }
    return {"versions": tools.versions(), "pages": pages, "longest_request_ms": longest}


def start_prometheus(tools: Tools, hosts: int, running: ExitStack) -> str:
    """Start a Prometheus with our rules on a fleet of so many hosts; return its URL."""
    folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="memleash-bench-")))
    address, paths = running.enter_context(serve(hosts))
    for rules in (REPOSITORY / "rules").glob("*.rules.yml"):
        shutil.copy(rules, folder)
    config = configuration(address, paths)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    argv: list[str | Path] = [
        tools.prometheus,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    program = Program("prometheus", argv, folder / "log", lambda: answers(f"{url}/-/ready"))
    running.callback(program.stop)
    program.start()
    return url


def recorded(url: str) -> int:
    """Return of how many hosts Prometheus has recorded the memory."""
    query = "count(memleash:agent_limited_memory_bytes)"
    found = get(f"{url}/api/v1/query?query={query}", timeout_seconds=60)["data"]["result"]
    return int(found[0]["value"][1]) if found else 0


def start(hosts: int, prometheus: str, running: ExitStack) -> Fleet:
    """Start a responder about so many hosts, each of which was held once, 1 in 50 muted."""
    folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="memleash-bench-")))
    database = f"sqlite:///{folder / 'responder.db'}"
    remember(database, hosts)
    config = lonely(folder, database)
    (folder / "all.yml").write_text(as_yaml(inventory(range(hosts))), encoding="utf-8")
    config |= {
        "inventory": {"files": [str(folder / "all.yml")]},
        "prometheus": {"url": prometheus},
        "agents": {"agent": {"restart_command": "false"}},
    }
    one = responder(folder, free_port(), config)
    running.callback(one.program.stop)
    one.program.start()
    return Fleet(hosts, folder, one)


def remember(url: str, hosts: int) -> None:
    database, now = Database(url), time.time()
    upgrade(database)
    names = [f"h{number:05d}" for number in range(hosts)]
    held = [{"host": n, "state": "connected", "changed_at": now, "drained": False} for n in names]
    mute = {"claimant": "busy:agent", "since": now, "until": int(now + 3600), "reason": "busy"}
    with database.write() as connection:
        connection.execute(schema.hosts.insert(), held)
        connection.execute(schema.mutes.insert(), [{"host": n, **mute} for n in names[::50]])
    database.close()


def compared(
    fleets: list[Fleet], path: str, rounds: int, *, rest_seconds: float = 0.0
) -> dict[str, float]:
    """Return the median of a request to each fleet, and how many times the larger one takes."""
    took: dict[int, list[float]] = {fleet.hosts: [] for fleet in fleets}
    for fleet in fleets:
        fetch(fleet.responder, path)
    for _ in range(rounds):
        time.sleep(rest_seconds)
        for fleet in fleets:
            took[fleet.hosts].append(seconds(lambda one=fleet: fetch(one.responder, path)))  # type: ignore[misc]
    medians = {hosts: 1000 * statistics.median(each) for hosts, each in took.items()}
    small, large = medians.values()
    row = {f"{hosts}_ms": round(median, 1) for hosts, median in medians.items()}
    return {**row, "times": round(large / small, 2)}


def longest_ms(fleet: Fleet, *, changing: bool) -> dict[str, float]:
    """Return the longest of each kind of request, made one after the other for a while."""
    paths = ["/", "/api/v1/hosts/h00007/mute", "/api/v1/hosts?limit=10", "/-/healthy"]
    over = threading.Event()
    threading.Timer(RELOAD_SECONDS, over.set).start()
    longest = dict.fromkeys(paths, 0.0)

    def ask(path: str) -> None:
        while not over.wait(0.02):
            longest[path] = max(longest[path], seconds(lambda: fetch(fleet.responder, path)))

    threads = [threading.Thread(target=ask, args=(path,)) for path in paths]
    texts = itertools.cycle(
        as_yaml(inventory([*range(fleet.hosts), fleet.hosts + odd])) for odd in (0, 1)
    )
    for thread in threads:
        thread.start()
    while not over.wait(2.0):
        if changing:
            replace(fleet.folder / "all.yml", next(texts))
    for thread in threads:
        thread.join()
    return {path: round(1000 * value, 1) for path, value in longest.items()}


if __name__ == "__main__":
    sys.exit(main())
