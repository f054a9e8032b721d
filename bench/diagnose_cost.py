"""What a diagnosis costs the agent: speed, stalls and memory, with and without.

    python bench/diagnose_cost.py [--objects 2000000] [--seconds 10] [--memray]

Runs an agent that holds so many objects and works as fast as it can, then looks at it in every
way the diagnoser has, each time at a fresh agent, and prints a Markdown table. Looks follow each
other after a second, where a fleet's are 300 s apart. CPU is what the agent's process took for
one operation, which holds on a machine that others use too; speed and stalls do not. Wants
elfutils, gcc and py-spy; --memray compares with memray attach.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from memleash_diagnoser import heap, process, stacks, tools

AFTERMATH_SECONDS = 1.0
"""Waited after what is done once, so that the agent tells of its stall."""
PYTHON_AGENT = """
import sys, time
held = [[number] for number in range(int(sys.argv[1]))]
out = open(sys.argv[2], "w")
done = longest = 0
began = last = time.perf_counter()
while True:
    table = {str(number): [number] for number in range(50)}
    done += 1
    now = time.perf_counter()
    longest = max(longest, now - last)
    last = now
    if now - began >= 0.25:
        out.write("%f %d %f\\n" % (time.monotonic(), done, longest)); out.flush()
        done = longest = 0
        began = time.perf_counter()
"""
LOOKS = """
import contextlib, json, os, resource, sys, time
from memleash_diagnoser import census, process
found = {"looks": [], "naming": 0.0}
with contextlib.closing(census.Census(process.find(int(sys.argv[1])))) as counted:
    until = time.monotonic() + float(sys.argv[2])
    while not found["looks"] or time.monotonic() < until:
        began = time.process_time()
        look = counted.look(300.0)
        found["looks"].append(time.process_time() - began)
        time.sleep(1)
    found["objects"] = look.objects
    if sys.argv[3:]:
        began = time.process_time()
        counted.names(list(look.containers)[:10], 300.0)
        found["naming"] = time.process_time() - began
found["rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps(found))
"""
"""The census in a process of its own, so that its memory can be told apart: pid, seconds."""
C_AGENT = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
int main(int argc, char **argv)
{
    long count = atol(argv[1]); void **held = malloc(count * sizeof *held);
    for (long i = 0; i < count; i++) held[i] = malloc(100);
    FILE *out = fopen(argv[2], "w");
    double began = now(), last = began, longest = 0; long done = 0;
    for (;;) {
        for (int i = 0; i < 50; i++) { void *volatile p = malloc(1000); free(p); }
        done++;
        double t = now();
        if (t - last > longest) longest = t - last;
        last = t;
        if (t - began >= 0.25) {
            fprintf(out, "%f %ld %f\n", t, done, longest); fflush(out);
            done = 0; longest = 0; began = last = now();
        }
    }
}
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Agent:
    """A working agent and the file that it tells its speed in."""

    pid: int
    told: Path
    folder: Path

    def speed(self, since: float) -> tuple[float, float]:
        """Return operations a second and the longest stall in seconds since a moment."""
        lines = [line.split() for line in self.told.read_text().splitlines()[:-1]]
        found = [(float(at), int(done), float(gap)) for at, done, gap in lines]
        found = [entry for entry in found if entry[0] - 0.25 >= since]
        if len(found) < 2:
            return 0.0, 0.0
        seconds = found[-1][0] - found[0][0]
        return sum(done for _, done, _ in found[1:]) / seconds, max(gap for _, _, gap in found)

    def operations(self) -> int:
        """Return how many operations it has told of."""
        return sum(int(line.split()[1]) for line in self.told.read_text().splitlines()[:-1])

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Return its RSS now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * 4096


@contextlib.contextmanager
def running(*argv: str | Path) -> Iterator[Agent]:
    """Run an agent until it works; end it afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "told")
        with subprocess.Popen([*map(str, argv), str(told)]) as child:
            try:
                until = time.monotonic() + 120
                while not told.exists() or told.stat().st_size < 200:
                    if time.monotonic() > until:
                        raise RuntimeError("the agent does not begin to work")
                    time.sleep(0.1)
                yield Agent(child.pid, told, Path(folder))
            finally:
                child.kill()


def idle(_agent: Agent, seconds: float) -> str:
    """Do nothing."""
    time.sleep(seconds)
    return ""


def py_spy(*options: str) -> Callable[[Agent, float], str]:
    """Return a trial in which py-spy dumps every second."""

    def trial(agent: Agent, seconds: float) -> str:
        until, count = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            tools.run([tools.find("py-spy"), "dump", "--pid", str(agent.pid), *options], 60)
            count += 1
            time.sleep(1)
        return f"{count} dumps"

    return trial


def memray(agent: Agent, seconds: float) -> str:
    """Attach memray for the whole time."""
    program = Path(sys.executable).with_name("memray")
    capture = agent.folder / "capture.bin"
    how = ["attach", "--duration", str(int(seconds)), "-o", str(capture)]
    attach = subprocess.run([program, *how, str(agent.pid)], check=False, capture_output=True)
    time.sleep(seconds)
    if attach.returncode:
        state = Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return "it failed, and the agent died" if state == "Z" else "it failed"
    return f"a file of {capture.stat().st_size / 2**20:.0f} MiB"


def census(*naming: str) -> Callable[[Agent, float], str]:
    """Return a trial in which the census looks every second, and names containers at the end."""

    def trial(agent: Agent, seconds: float) -> str:
        argv = [sys.executable, "-c", LOOKS, str(agent.pid), str(seconds), *naming]
        found = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
        looks = found["looks"]
        words = f"{len(looks)} looks at {found['objects']} objects of up to {max(looks):.1f} s CPU"
        named = f", then one naming of {found['naming']:.1f} s" if naming else ""
        return f"{words}{named}; the diagnoser's own, in {found['rss'] / 2**20:.0f} MiB"

    return trial


def native_stacks(agent: Agent, _seconds: float) -> str:
    """Take all stacks once."""
    began = time.monotonic()
    stacks.of_native(process.find(agent.pid))
    took = time.monotonic() - began
    time.sleep(AFTERMATH_SECONDS)
    return f"once, {took:.2f} s"


def walks(agent: Agent, seconds: float) -> str:
    """Walk malloc's heaps from outside, again and again."""
    found, looks, until = process.find(agent.pid), [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.thread_time()
        heap.walk(found, 60)
        looks.append(time.thread_time() - began)
        time.sleep(1)
    return f"{len(looks)} walks of up to {max(looks):.2f} s CPU, none of it the agent's"


Trial = Callable[[Agent, float], str]
PYTHON_TRIALS: dict[str, Trial] = {
    "nothing": idle,
    "census": census(),
    "census and naming": census("name"),
    "py-spy dump": py_spy("--nonblocking"),
    "nothing, again": idle,
}
C_TRIALS: dict[str, Trial] = {
    "nothing": idle,
    "heap walk": walks,
    "eu-stack": native_stacks,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """What one trial did to its agent."""

    speed: float
    """Operations a second."""
    cpu_seconds: float
    """For one operation."""
    stall_seconds: float
    more_bytes: int
    """The most RSS above what it was."""
    words: str


def measured(agent: Agent, trial: Trial, seconds: float) -> Cost:
    """Return what ``trial`` costs ``agent``."""
    before = most = agent.resident_bytes()
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.05):
            most = max(most, agent.resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    since, cpu, done = time.monotonic(), agent.cpu_seconds(), agent.operations()
    try:
        words = trial(agent, seconds)
        speed, stall = agent.speed(since)
        cpu, done = agent.cpu_seconds() - cpu, agent.operations() - done
    finally:
        over.set()
        watcher.join()
    return Cost(speed, cpu / max(1, done), stall, most - before, words)


def table(kind: str, trials: dict[str, Trial], argv: list[str | Path], seconds: float) -> None:
    """Measure and print one kind of agent's rows."""
    usual: Cost | None = None
    for name, trial in trials.items():
        with running(*argv) as agent:
            cost = measured(agent, trial, seconds)
        usual = usual or cost
        print(
            f"| {kind} | {name} | {100 * cost.cpu_seconds / usual.cpu_seconds:.0f} %"
            f" | {100 * cost.speed / usual.speed:.0f} % | {1000 * cost.stall_seconds:.0f} ms"
            f" | {cost.more_bytes / 2**20:.1f} MiB | {cost.words} |",
            flush=True,
        )


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=2_000_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--memray", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{options.objects} objects; {options.seconds:g} s each; load average {load:.1f}.\n")
    print(
        "| agent | while | CPU | speed | longest stall | memory | |\n|---|---|---|---|---|---|---|"
    )
    count = str(options.objects)
    trials = {**PYTHON_TRIALS, **({"memray attach": memray} if options.memray else {})}
    table("Python", trials, [sys.executable, "-c", PYTHON_AGENT, count], options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "agent.c"), Path(folder, "agent")
        source.write_text(C_AGENT)
        subprocess.run(["gcc", "-g", "-O1", "-w", "-o", program, source], check=True)
        table("C", C_TRIALS, [program, count], options.seconds)


if __name__ == "__main__":
    main()
