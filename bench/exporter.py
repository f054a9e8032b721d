"""What a scrape costs, beside Debian's process-exporter watching the same agents.

    make bench-exporter                      # about ten minutes on two cores
    python -m bench.exporter --quick         # a look, in one

All run at once and are scraped in turn over kept connections, so that what else the machine does
hits all of them. CPU is the scraped process's own, to the nanosecond: the median of its scrapes.
memleash runs three times: as it comes, with `include_children` and a `children` busy source, and
with an agent that is not there, for which each scrape searches the host. Prints tables, writes
bench/exporter.json, and leaves with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.exporter_host import (
    Scraped,
    agents,
    end_agent,
    filled_to,
    processes_on_host,
    running,
    start_agent,
)
from demo.stack.ports import free_port

REPOSITORY = Path(__file__).parents[1]
RESULT = REPOSITORY / "bench/exporter.json"
PEER = "prometheus-process-exporter"
OURS, PEERS = "memleash", "process-exporter"
TREE, MISSING = "memleash, with children", "memleash, an agent missing"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    processes: tuple[int, ...]
    scrapes: int
    soak_scrapes: int


AGENTS = 5
MARKERS: Mapping[str, object] = {"busy": [{"markers": {}}]}
FULL = Size((200, 2000, 8000), 200, 30_000)
QUICK = Size((200, 2000), 30, 500)
FEWEST_SCRAPES = 30
LONGEST_SECONDS = 60.0
"""A host is scraped no longer than this, unless it takes that long to scrape it FEWEST_SCRAPES
times: the peers take seconds a scrape on a large and busy one."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What the scrapes of one program cost on one host."""

    program: str
    processes: int
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    rss_mib: float
    body_bytes: int
    scrapes: int


def main() -> int:
    """Measure, print, write, and compare with the bars."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer hosts and scrapes")
    size = QUICK if parser.parse_args().quick else FULL
    if shutil.which(PEER) is None:
        print(f"{PEER} is not installed: apt-get install {PEER}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through every "finally"
    with tempfile.TemporaryDirectory() as folder:
        costs = [
            cost
            for processes in size.processes
            for cost in side_by_side(Path(folder), processes, size.scrapes)
        ]
        restart = after_restart(Path(folder))
        soak = soaked(Path(folder), size.soak_scrapes)
    verdicts = compared_with_bars(costs, soak, restart)
    result = {
        "costs": [asdict(cost) for cost in costs],
        "restart": restart,
        "soak": soak,
        "bars": verdicts,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    show(costs, restart, soak, verdicts)
    return 0 if all(verdict["met"] for verdict in verdicts) else 1


def side_by_side(folder: Path, processes: int, scrapes: int) -> list[Cost]:
    """Measure all programs on one host in one go, in turn."""
    with ExitStack() as stack:
        stack.enter_context(agents(AGENTS))
        stack.enter_context(filled_to(processes))
        children = {"include_children": True, "busy": [{"children": {"cmdline": "^qemu-img "}}]}
        programs = {
            OURS: stack.enter_context(memleash(folder / "as-it-comes.yml")),
            TREE: stack.enter_context(memleash(folder / "children.yml", settings=children)),
            MISSING: stack.enter_context(memleash(folder / "missing.yml", count=AGENTS + 1)),
            PEERS: stack.enter_context(peer(folder / "peer.yml")),
        }
        return measured(programs, processes_on_host(), scrapes)


def measured(programs: dict[str, Scraped], processes: int, scrapes: int) -> list[Cost]:
    """Scrape the programs in turn; the first scrapes (discovery, warm caches) do not count.

    Each round has an order of its own: who comes after process-exporter finds the caches of the
    processor cold, the colder the more processes it has read.
    """
    for _ in range(5):
        for program in programs.values():
            program.scrape()
    latencies: dict[str, list[float]] = {name: [] for name in programs}
    cpu_ms: dict[str, list[float]] = {name: [] for name in programs}
    bodies = dict.fromkeys(programs, b"")
    turns, chance = list(programs.items()), random.Random(1)
    started, done = time.monotonic(), 0
    while done < scrapes:
        if done >= FEWEST_SCRAPES and time.monotonic() - started > LONGEST_SECONDS:
            break
        done += 1
        chance.shuffle(turns)
        for name, program in turns:
            began, cpu_began = time.perf_counter(), program.cpu_seconds()
            bodies[name] = program.scrape()
            latencies[name].append(time.perf_counter() - began)
            cpu_ms[name].append((program.cpu_seconds() - cpu_began) * 1000)
    return [
        Cost(
            program=name,
            processes=processes,
            cpu_ms=statistics.median(cpu_ms[name]),
            p50_ms=statistics.median(latencies[name]) * 1000,
            p99_ms=statistics.quantiles(latencies[name], n=100)[98] * 1000,
            rss_mib=program.memory_bytes() / 2**20,
            body_bytes=len(bodies[name]),
            scrapes=done,
        )
        for name, program in programs.items()
    ]


def memleash(
    file: Path, *, count: int = AGENTS, settings: Mapping[str, object] = MARKERS
) -> AbstractContextManager[Scraped]:
    """Run our exporter for the first ``count`` agents, each with these settings."""
    config = {
        "agents": [
            {
                "name": f"agent-{number:02}",
                "discover": {"cmdline": f"^memleash-bench-agent-{number:02}"},
                "limits": {"hard_limit": "10GiB"},
                **settings,
            }
            for number in range(count)
        ],
        "busy_markers_directory": str(file.with_suffix(".busy")),
    }
    file.write_text(json.dumps(config))
    port = free_port()
    address = f"127.0.0.1:{port}"
    argv = (sys.executable, "-m", "memleash_exporter", "--config.file", str(file))
    return running((*argv, "--web.listen-address", address), port, REPOSITORY)


def peer(file: Path) -> AbstractContextManager[Scraped]:
    """Run process-exporter as Debian does, watching the same agents."""
    names = [
        {"name": f"agent-{number:02}", "cmdline": [f"^memleash-bench-agent-{number:02}"]}
        for number in range(AGENTS)
    ]
    file.write_text(json.dumps({"process_names": names}))
    port = free_port()
    argv = (PEER, f"-config.path={file}", f"-web.listen-address=127.0.0.1:{port}")
    return running(argv, port, REPOSITORY)


def after_restart(folder: Path) -> dict[str, float]:
    """Return the CPU milliseconds of a scrape before, at and after an agent's restart."""
    with (
        agents(AGENTS) as watched,
        filled_to(2000),
        memleash(folder / "restart.yml") as exporter,
    ):
        for _ in range(20):
            exporter.scrape()
        before = [cpu_of_scrape(exporter) for _ in range(50)]
        end_agent(watched[0])
        watched[0] = start_agent(0)
        search = cpu_of_scrape(exporter)
        after = [cpu_of_scrape(exporter) for _ in range(50)]
    return {
        "before_ms": statistics.median(before),
        "search_ms": search,
        "after_ms": statistics.median(after),
        "after_max_ms": max(after),
    }


def cpu_of_scrape(exporter: Scraped) -> float:
    """Return the CPU milliseconds of one scrape."""
    began = exporter.cpu_seconds()
    exporter.scrape()
    return (exporter.cpu_seconds() - began) * 1000


def soaked(folder: Path, scrapes: int) -> dict[str, float]:
    """Return our resident memory after a thirtieth of the scrapes, and after all of them."""
    with agents(AGENTS), memleash(folder / "soak.yml") as exporter:
        for _ in range(scrapes // 30):
            exporter.scrape()
        early = exporter.memory_bytes()
        for _ in range(scrapes - scrapes // 30):
            exporter.scrape()
        late = exporter.memory_bytes()
    return {"scrapes": scrapes, "early_mib": early / 2**20, "late_mib": late / 2**20}


def compared_with_bars(
    costs: Sequence[Cost], soak: dict[str, float], restart: dict[str, float]
) -> list[dict[str, object]]:
    """Return each bar with what was measured."""

    def cost(program: str, wanted: int) -> Cost:
        """Return the cost on the host nearest to ``wanted`` processes."""
        mine = [one for one in costs if one.program == program]
        return min(mine, key=lambda one: abs(one.processes - wanted))

    def most_to_fewest(program: str) -> float:
        return cost(program, 10**9).cpu_ms / cost(program, 0).cpu_ms

    most_rss = max(one.rss_mib for one in costs if one.program in (OURS, TREE))
    measured_values: list[tuple[str, float, float]] = [
        (
            "CPU a scrape at 2,000 processes, to process-exporter's",
            cost(OURS, 2000).cpu_ms / cost(PEERS, 2000).cpu_ms,
            1 / 15,
        ),
        ("CPU a scrape at the most processes, to that at the fewest", most_to_fewest(OURS), 1.2),
        ("the same with children", most_to_fewest(TREE), 1.2),
        ("RSS in MiB, the worst of all hosts", most_rss, 32.0),
        (
            "RSS at the end of the soak, to that after a thirtieth of it",
            soak["late_mib"] / soak["early_mib"],
            1.03,
        ),
        (
            "CPU a scrape at 2,000 processes with an agent missing, to process-exporter's",
            cost(MISSING, 2000).cpu_ms / cost(PEERS, 2000).cpu_ms,
            1.0,
        ),
        (
            "CPU a scrape after a restart was found, to that before",
            restart["after_ms"] / restart["before_ms"],
            1.2,
        ),
    ]
    return [
        {"bar": bar, "measured": round(value, 4), "at_most": limit, "met": value <= limit}
        for bar, value, limit in measured_values
    ]


def show(
    costs: Sequence[Cost],
    restart: dict[str, float],
    soak: dict[str, float],
    verdicts: Sequence[dict[str, object]],
) -> None:
    """Print it all as Markdown."""
    print("| processes | program | CPU ms | p50 ms | p99 ms | RSS MiB | bytes | scrapes |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|")
    for cost in costs:
        print(
            f"| {cost.processes:,} | {cost.program} | {cost.cpu_ms:.2f} "
            f"| {cost.p50_ms:.2f} | {cost.p99_ms:.2f} | {cost.rss_mib:.1f} | {cost.body_bytes:,} "
            f"| {cost.scrapes} |"
        )
    print(
        f"\nrestart at 2,000 processes: {restart['before_ms']:.2f} ms before, "
        f"{restart['search_ms']:.1f} ms for the scrape that searches, "
        f"{restart['after_ms']:.2f} ms after"
    )
    print(
        f"soak: {soak['early_mib']:.1f} MiB after {soak['scrapes'] / 30:,.0f} scrapes, "
        f"{soak['late_mib']:.1f} MiB after {soak['scrapes']:,.0f}\n"
    )
    print("| bar | measured | at most | |\n|---|---:|---:|---|")
    for verdict in verdicts:
        print(
            f"| {verdict['bar']} | {verdict['measured']:.3f} | {verdict['at_most']:.3f} "
            f"| {'met' if verdict['met'] else 'MISSED'} |"
        )


if __name__ == "__main__":
    raise SystemExit(main())
