"""What the rules cost: the evaluation time of each group, for a growing fleet.

    python -m bench.rules                 # 1,000 and 10,000 hosts; about eighteen minutes
    python -m bench.rules --tools newest  # with the newest Prometheus

A real Prometheus scrapes the simulated fleet and evaluates our own rules, both every 15 s, as
they are shipped. After 20 evaluations, when windows of 5 minutes are full, 15 are measured. Prints
a table, writes bench/rules.json, and leaves with 1 when ten times the hosts cost a group, or all
of them together, more than 12 times the time. What counts for that is the median: the fastest
evaluation of a small fleet is short enough to fall between two scrapes and two runs of Go's
garbage collector, that of a large fleet never is. The fastest stands beside it.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
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
    small, large = (measure(tools, hosts) for hosts in options.hosts)
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
    return 0 if max(result["growth"].values()) <= result["largest_growth_allowed"] else 1


def measure(tools: Tools, hosts: int) -> Json:
    """Returns what Prometheus tells of its rules with a fleet of so many hosts."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        port = running.enter_context(reserve_ports())[0]
        address, paths = running.enter_context(serve(hosts))
        config = configuration(address, paths)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
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
        rounds = [groups(url) for _ in evaluations(url)]
        return {
            "hosts": hosts,
            "series": int(get(f"{url}/api/v1/status/tsdb")["data"]["headStats"]["numSeries"]),
            "alerts": len(get(f"{url}/api/v1/alerts", timeout_seconds=60)["data"]["alerts"]),
            "resident_bytes": resident_bytes(prometheus.pid),
            "group_seconds": summary(rounds),
        }


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
        "rule_files": [str(REPOSITORY / "rules/*.rules.yml")],
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


def evaluations(url: str) -> Any:
    """Yields once in each interval that is measured, after the warm-up."""
    time.sleep(INTERVAL_SECONDS * WARM_UP_EVALUATIONS)
    if not answers(f"{url}/-/ready"):
        raise SystemExit("Prometheus is gone")
    for _ in range(MEASURED_EVALUATIONS):
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
