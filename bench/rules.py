"""What the rules cost: the evaluation time of each group, for a growing fleet.

    python -m bench.rules                 # 1,000 and 10,000 hosts; about nine minutes
    python -m bench.rules --tools newest  # with the newest Prometheus

Two real Prometheus side by side, each with a simulated fleet, scrape it and evaluate our own rules,
both every 15 s, as they are shipped: so the machine is as quick for the one as for the other. After
20 evaluations, when windows of 5 minutes are full, 15 are measured. Prints a table, writes
bench/rules.json, and leaves with 1 when ten times the hosts cost all groups together more than 12
times the time. What counts for that is the median; the fastest stands beside it.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.rules_fleet import serve
from demo.stack.http import answers, get
from demo.stack.ports import reserve_ports
from demo.stack.processes import Program
from demo.stack.tools import REPOSITORY, Tools, find

RESULT = REPOSITORY / "bench/rules.json"
INTERVAL_SECONDS = 15
WARM_UP_EVALUATIONS = 20
MEASURED_EVALUATIONS = 15
LARGEST_GROWTH = 12.0

Json = Any


def main() -> int:
    parser = argparse.ArgumentParser(description="measures the evaluation time of the rules")
    parser.add_argument("--hosts", type=int, nargs=2, default=[1_000, 10_000])
    parser.add_argument("--tools", choices=["stable", "newest"], default="stable")
    options = parser.parse_args()
    put_first("self")
    tools = find(options.tools)
    with ExitStack() as running:
        fleets = [start(tools, hosts, running) for hosts in options.hosts]
        rounds = [[groups(each.url) for each in fleets] for _ in evaluations(fleets)]
        small, large = (
            each.told([one[number] for one in rounds]) for number, each in enumerate(fleets)
        )
    result = {
        "versions": tools.versions(),
        "cores": os.cpu_count(),
        "interval_seconds": INTERVAL_SECONDS,
        "evaluations": MEASURED_EVALUATIONS,
        "fleets": [small, large],
        "growth": growth(small, large),
        "largest_growth_allowed": LARGEST_GROWTH * options.hosts[1] / options.hosts[0] / 10,
    }
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    RESULT.write_text(json.dumps(results | {options.tools: result}, indent=2) + "\n")
    sys.stdout.write(table(result))
    return 0 if result["growth"]["all"] <= result["largest_growth_allowed"] else 1


@dataclass(frozen=True)
class Fleet:
    """So many hosts, and the Prometheus that watches them."""

    hosts: int
    url: str
    pid: int

    def told(self, rounds: list[dict[str, float]]) -> Json:
        """Returns what ``rounds`` of this fleet's rules took, and what they were about."""
        return {
            "hosts": self.hosts,
            "series": int(get(f"{self.url}/api/v1/status/tsdb")["data"]["headStats"]["numSeries"]),
            "alerts": len(get(f"{self.url}/api/v1/alerts", timeout_seconds=60)["data"]["alerts"]),
            "resident_bytes": resident_bytes(self.pid),
            "group_seconds": summary(rounds),
        }


def start(tools: Tools, hosts: int, running: ExitStack) -> Fleet:
    """Starts a Prometheus on a fleet of so many hosts, until ``running`` is left.

    Its rules are copies: Prometheus begins a group at a moment that follows from the file's name,
    and the groups of the two are not to begin together.
    """
    folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
    port = running.enter_context(reserve_ports())[0]
    address, paths = running.enter_context(serve(hosts))
    for rules in (REPOSITORY / "rules").glob("*.rules.yml"):
        shutil.copy(rules, folder)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration(address, paths)))
    url = f"http://127.0.0.1:{port}"
    prometheus = Program(
        "prometheus",
        [
            tools.prometheus,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        folder / "log",
        lambda: answers(f"{url}/-/ready"),
    )
    running.callback(prometheus.stop)
    prometheus.start()
    put_first(prometheus.pid)
    return Fleet(hosts, url, prometheus.pid)


def put_first(pid: int | str) -> None:
    """Gives a session the processor before others, as far as this machine allows (root only): the
    machine's other work must not be measured."""
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("-15")


def configuration(address: str, paths: list[str]) -> Json:
    targets = [
        {"targets": [address], "labels": {"__metrics_path__": path, "page": path}} for path in paths
    ]
    return {
        "global": {
            "scrape_interval": f"{INTERVAL_SECONDS}s",
            "evaluation_interval": f"{INTERVAL_SECONDS}s",
        },
        "rule_files": ["*.rules.yml"],
        "scrape_configs": [
            {"job_name": "fleet", "honor_labels": True, "static_configs": targets},
        ],
    }


def groups(url: str) -> dict[str, float]:
    """Returns the seconds that each group's last evaluation took; fails on a rule's error."""
    told = get(f"{url}/api/v1/rules?type=record", timeout_seconds=60)["data"]["groups"]
    told += get(f"{url}/api/v1/rules?type=alert", timeout_seconds=60)["data"]["groups"]
    errors = {rule["lastError"] for group in told for rule in group["rules"] if "lastError" in rule}
    if errors:
        raise SystemExit(f"rules fail: {errors}")
    return {group["name"]: group["evaluationTime"] for group in told}


def evaluations(fleets: list[Fleet]) -> Iterator[None]:
    """Yields once in each interval that is measured, after the warm-up."""
    time.sleep(INTERVAL_SECONDS * WARM_UP_EVALUATIONS)
    for _ in range(MEASURED_EVALUATIONS):
        if not all(answers(f"{each.url}/-/ready") for each in fleets):
            raise SystemExit("a Prometheus is gone")
        time.sleep(INTERVAL_SECONDS)
        yield


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def summary(rounds: list[dict[str, float]]) -> Json:
    """Returns the fastest and the median seconds of each group, and of all of them together."""
    series = {name: [one[name] for one in rounds] for name in rounds[0]}
    series["all"] = [sum(one.values()) for one in rounds]
    return {
        name: {"fastest": round(min(each), 4), "median": round(statistics.median(each), 4)}
        for name, each in series.items()
    }


def growth(small: Json, large: Json) -> dict[str, float]:
    """Returns by how much each group's median evaluation grew."""
    return {
        name: round(seconds["median"] / small["group_seconds"][name]["median"], 1)
        for name, seconds in large["group_seconds"].items()
    }


def table(result: Json) -> str:
    small, large = result["fleets"]
    lines = [
        f"| {result['versions']} | {small['hosts']:,} hosts | {large['hosts']:,} hosts | growth |",
        "|---|---:|---:|---:|",
    ]
    for name, times in result["growth"].items():
        cells = (
            f"{fleet['group_seconds'][name]['median'] * 1000:.0f} ms "
            f"(fastest {fleet['group_seconds'][name]['fastest'] * 1000:.0f})"
            for fleet in (small, large)
        )
        lines.append(f"| {name} | {' | '.join(cells)} | {times} x |")
    for what, unit, divisor in (
        ("series", "", 1),
        ("alerts", "", 1),
        ("resident_bytes", " MiB", 1024**2),
    ):
        cells = (f"{fleet[what] / divisor:,.0f}{unit}" for fleet in (small, large))
        lines.append(f"| {what.replace('_bytes', ' memory')} | {' | '.join(cells)} | |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
