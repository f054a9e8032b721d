"""What the rules cost: the evaluation time of each group, for a growing fleet.

    python -m bench.rules                 # 1,000 and 10,000 hosts; about nine minutes
    python -m bench.rules --tools newest  # with the newest Prometheus
    python -m bench.rules --old v0.1      # beside the rules of another revision, or of a folder

Two real Prometheus side by side, each with a simulated fleet, scrape it and evaluate our rules,
both every 15 s: so the machine is as quick for the one as for the other. All rules are one group,
so that they run one after the other; the old ones are evaluated in between, group by group, under
other names. After 20 evaluations, when windows of 5 minutes are full, 15 are measured. Prints
tables, writes bench/rules.json, and leaves with 1 when ten times the hosts cost all our rules more
than 12 times the time, or when they take longer than the old ones. What counts for that is the
median; the fastest stands beside it.
"""

import argparse
import json
import os
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

from bench import rules_sets
from bench.rules_fleet import serve
from bench.rules_sets import RuleSets
from bench.rules_tables import costliest, table
from demo.stack.http import answers, get
from demo.stack.ports import reserve_ports
from demo.stack.processes import Program
from demo.stack.tools import REPOSITORY, Tools, find

RESULT = REPOSITORY / "bench/rules.json"
INTERVAL_SECONDS = 15
WARM_UP_EVALUATIONS = 20
MEASURED_EVALUATIONS = 15
LARGEST_GROWTH = 12.0
LARGEST_SHARE_OF_OLD = 1.0

Json = Any


@dataclass(frozen=True, slots=True)
class Round:
    """The seconds that one evaluation of a set took, by group and by rule."""

    groups: dict[str, float]
    rules: dict[str, float]


Rounds = dict[str, Round]
"""One evaluation of each set."""


def main() -> int:
    options = arguments()
    put_first("self")
    tools = find(options.tools)
    sets = rules_sets.read(options.old)
    load = [os.getloadavg()[0]]
    with ExitStack() as running:
        fleets = [start(tools, hosts, sets, running) for hosts in options.hosts]
        rounds = [[evaluated(each.url, sets) for each in fleets] for _ in evaluations(fleets)]
        small, large = (
            each.told([one[number] for one in rounds]) for number, each in enumerate(fleets)
        )
    result = {
        "versions": tools.versions(),
        "cores": os.cpu_count(),
        "load": [*load, os.getloadavg()[0]],
        "interval_seconds": INTERVAL_SECONDS,
        "evaluations": MEASURED_EVALUATIONS,
        "old": options.old,
        "fleets": [small, large],
        "growth": {name: growth(small, large, name) for name in large["sets"]},
        "largest_growth_allowed": LARGEST_GROWTH * options.hosts[1] / options.hosts[0] / 10,
        "share_of_old": [share_of_old(each) for each in (small, large)],
    }
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    RESULT.write_text(json.dumps(results | {options.tools: result}, indent=2) + "\n")
    sys.stdout.write(table(result) + "\n" + costliest(large))
    return 0 if within_bars(result) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="measures the evaluation time of the rules")
    parser.add_argument("--hosts", type=int, nargs=2, default=[1_000, 10_000])
    parser.add_argument("--tools", choices=["stable", "newest"], default="stable")
    parser.add_argument(
        "--old", help="a folder of rules, or a revision, to be measured beside ours"
    )
    return parser.parse_args()


def within_bars(result: Json) -> bool:
    growth_of_all = result["growth"][rules_sets.NEW]["all"]
    share = result["share_of_old"][-1]
    return bool(
        growth_of_all <= result["largest_growth_allowed"]
        and (share is None or share["all"] <= LARGEST_SHARE_OF_OLD)
    )


@dataclass(frozen=True)
class Fleet:
    """So many hosts, and the Prometheus that watches them."""

    hosts: int
    url: str
    pid: int

    def told(self, rounds: list[Rounds]) -> Json:
        """Returns what ``rounds`` of this fleet's rules took, and what they were about."""
        return {
            "hosts": self.hosts,
            "series": int(get(f"{self.url}/api/v1/status/tsdb")["data"]["headStats"]["numSeries"]),
            "alerts": len(get(f"{self.url}/api/v1/alerts", timeout_seconds=60)["data"]["alerts"]),
            "resident_bytes": resident_bytes(self.pid),
            "sets": {name: summary([one[name] for one in rounds]) for name in rounds[0]},
        }


def start(tools: Tools, hosts: int, sets: RuleSets, running: ExitStack) -> Fleet:
    """Starts a Prometheus on a fleet of so many hosts, until ``running`` is left."""
    folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
    port = running.enter_context(reserve_ports())[0]
    address, paths = running.enter_context(serve(hosts))
    sets.write(folder / "all.rules.yml")
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


def evaluated(url: str, sets: RuleSets) -> Rounds:
    """Returns the seconds of each set's last evaluation; fails on a rule's error."""
    (group,) = get(f"{url}/api/v1/rules", timeout_seconds=60)["data"]["groups"]
    if errors := {rule["lastError"] for rule in group["rules"] if "lastError" in rule}:
        raise SystemExit(f"rules fail: {errors}")
    rounds: Rounds = {}
    for rule in group["rules"]:
        of, name = sets.belongs[rule["name"]]
        one = rounds.setdefault(of, Round({}, {}))
        one.rules[rule["name"]] = rule["evaluationTime"]
        one.groups[name] = one.groups.get(name, 0.0) + rule["evaluationTime"]
    return rounds


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


def summary(rounds: list[Round]) -> Json:
    """Returns the fastest and the median seconds of each group, of all together, of each rule."""
    groups = {name: [one.groups[name] for one in rounds] for name in rounds[0].groups}
    groups["all"] = [sum(one.groups.values()) for one in rounds]
    rules = {name: [one.rules[name] for one in rounds] for name in rounds[0].rules}
    return {"group_seconds": middle(groups), "rule_seconds": middle(rules)}


def middle(series: dict[str, list[float]]) -> Json:
    return {
        name: {"fastest": round(min(each), 4), "median": round(statistics.median(each), 4)}
        for name, each in series.items()
    }


def growth(small: Json, large: Json, name: str) -> dict[str, float]:
    """Returns by how much the median evaluation of each group of the set grew."""
    before, after = (each["sets"][name]["group_seconds"] for each in (small, large))
    return {
        group: round(seconds["median"] / before[group]["median"], 1)
        for group, seconds in after.items()
    }


def share_of_old(fleet: Json) -> dict[str, float] | None:
    """Returns what each group takes of what it took in the old rules; None without old rules."""
    if rules_sets.OLD not in fleet["sets"]:
        return None
    new, old = (fleet["sets"][name]["group_seconds"] for name in (rules_sets.NEW, rules_sets.OLD))
    return {
        group: round(seconds["median"] / old[group]["median"], 2)
        for group, seconds in new.items()
        if group in old
    }


if __name__ == "__main__":
    sys.exit(main())
