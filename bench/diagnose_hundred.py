"""A hundred diagnoses in a row of each kind of agent: does it stand still, does it live on.

    python -m bench.diagnose_hundred [--times 100] [--most 100000] [--agent leaks_a_list.py ...]
        [--python PATH ...]

The agents are those of demo/leaking_agents; those in Python keep ``--most`` things. They count
their own heartbeats, one every 10 ms, and the longest gap between two, without what they waited for
a CPU. Prints a row for each agent and Python as soon as it is measured, and ends with 1 when a gap
was over 200 ms or an agent ended. A row takes minutes, by ``--most``. Wants what `make setup`
installs: elfutils, gcc, py-spy, and eventlet for each Python.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from demo.stack.leaking_agents import (
    AGENTS,
    EVENTLET_PATHS,
    MOST_STALL_SECONDS,
    PYTHONS,
    compiled,
    heart_file,
)
from memleash_diagnoser import plan

EVENTLET_AGENT = "leaks_under_green_threads.py"
PYTHON_AGENTS = ("leaks_a_list.py", "leaks_a_cache.py", "leaks_cycles.py", EVENTLET_AGENT)
C_AGENT = "leaks.c"
START_SECONDS = 60.0
BEATS_BEFORE = 50
DIAGNOSER = """
import os, sys
from memleash_diagnoser import collect, plan
order, folder = plan.parse(sys.argv[1]), sys.argv[2]
for number in range(int(sys.argv[3])):
    path = os.path.join(folder, str(number))
    os.mkdir(path)
    evidence = collect.collect(order, path)
    if evidence.outcome != "complete":
        sys.exit(f"diagnosis {number}: {evidence.outcome}: {evidence.notes}")
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What one agent did meanwhile."""

    beats: int
    longest_gap_seconds: float
    seconds: float
    trouble: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it never stood still for longer than it may, and lives on."""
        return not self.trouble and self.longest_gap_seconds <= MOST_STALL_SECONDS


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--agent", action="append", choices=[*PYTHON_AGENTS, C_AGENT])
    parser.add_argument("--python", action="append")
    options = parser.parse_args()
    print("| agent | Python | diagnoses | seconds | heartbeats | longest gap | |")
    print("|---|---|---:|---:|---:|---:|---|")
    good = True
    for name in options.agent or [C_AGENT, *PYTHON_AGENTS]:
        for python in [""] if name == C_AGENT else options.python or PYTHONS:
            if name == EVENTLET_AGENT and python not in EVENTLET_PATHS:
                continue
            row = measured(name, python, options.times, options.most)
            good = good and row.is_good
            gap, end = f"{1000 * row.longest_gap_seconds:.0f} ms", row.trouble or "lives on"
            print(
                f"| {name} | {version(python)} | {options.times} | {row.seconds:.0f} "
                f"| {row.beats:,} | {gap} | {end} |",
                flush=True,
            )
    return 0 if good else 1


def measured(name: str, python: str, times: int, most: int) -> Row:
    """Diagnose one agent that keeps at most so many things, so often."""
    with tempfile.TemporaryDirectory() as folder, heart_file() as heart:
        place = Path(folder)
        argv = (
            [str(compiled(place))]
            if name == C_AGENT
            else [python, "-Wignore", str(AGENTS / name), "eventlet"]
        )
        own = {"HEART": str(heart), "MOST": str(most), "PYTHONPATH": EVENTLET_PATHS.get(python, "")}
        with subprocess.Popen(argv, env=os.environ | own) as agent:
            try:
                until = time.monotonic() + START_SECONDS
                while heartbeats(heart)[0] < BEATS_BEFORE:
                    if agent.poll() is not None or time.monotonic() > until:
                        raise RuntimeError(f"{name} does not begin to work under {python}")
                    time.sleep(0.1)
                began = time.monotonic()
                trouble = diagnosed(agent.pid, place, times, native=name == C_AGENT)
                seconds, before = time.monotonic() - began, heartbeats(heart)[0]
                until = time.monotonic() + START_SECONDS
                while heartbeats(heart)[0] == before and time.monotonic() < until:
                    time.sleep(0.1)
                beats, gap = heartbeats(heart)
                if agent.poll() is not None or beats == before:
                    trouble = f"it works no more: {agent.poll()}"
                return Row(beats, gap, seconds, trouble)
            finally:
                agent.kill()


def diagnosed(pid: int, folder: Path, times: int, *, native: bool) -> str:
    """Run the diagnoser so often; return what went wrong."""
    order = plan.Plan(
        run="bench",
        agent="bench",
        discover="pid",
        target=str(pid),
        profile="native" if native else "python",
        rounds=1,
        interval_seconds=0.01,
        max_seconds=3600.0,
        max_cpu_seconds=3600,
        free_disk_bytes=1,
        marker_root="",
        work_root=str(folder),
    )
    (folder / "reports").mkdir()
    argv = [sys.executable, "-c", DIAGNOSER, plan.text(order), str(folder / "reports"), str(times)]
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # py-spy
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=env)
    return done.stderr.strip().rpartition("\n")[2][:300]


def heartbeats(heart: Path) -> tuple[int, float]:
    """Return how many there were, and the longest gap in seconds."""
    words = heart.read_text().split() if heart.exists() else []
    return (int(words[0]), float(words[1])) if len(words) == 2 else (0, 0.0)


def version(python: str) -> str:
    """Return which Python it is; empty for none."""
    if not python:
        return ""
    argv = [python, "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())
