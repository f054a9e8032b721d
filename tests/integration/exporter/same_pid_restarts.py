"""Restart an agent N times under one pid while another process samples it without a pause.

Run in a pid namespace of its own. Life number n holds (n % 5) * 2 MiB; a sample that shows more
than its life ever held, or a start time that no life had, mixes two lives. Prints a JSON result.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
import time
from pathlib import Path

from memleash_exporter.adapters.discovery import Walk, search_for
from memleash_exporter.adapters.processes import Processes
from memleash_exporter.adapters.systemd import Systemctl
from memleash_exporter.adapters.unit_pids import CGROUPFS
from memleash_exporter.collector.agent import AgentWatch, Watched
from memleash_exporter.collector.readiness import unknown
from memleash_exporter.settings import Agent, Discover

AGENT_PID = 300
STEP_BYTES = 2 << 20
PIDFILE = Path("agent.pid")
SAMPLES = Path("samples")


def sample_until_killed() -> None:
    """Sample as fast as possible; one line for each: start in ticks, resident bytes."""
    processes = Processes(Path("/proc"))
    discover = Discover(pidfile=PIDFILE)
    search = search_for(discover, processes, CGROUPFS, Systemctl())
    watch = AgentWatch(Watched(Agent("a", discover), processes, search, [], unknown))
    with SAMPLES.open("w", buffering=1) as samples:
        while True:
            facts = watch.sample(Walk(processes)).facts
            if facts is not None:
                samples.write(f"{facts.life.start_ticks} {facts.usage.resident_bytes}\n")


def live(size_bytes: int, ready: int) -> None:
    """Hold ``size_bytes`` until killed."""
    block = mmap.mmap(-1, size_bytes) if size_bytes else None
    if block is not None:
        for start in range(0, size_bytes, mmap.PAGESIZE):
            block[start] = 1
    os.write(ready, b"1")
    signal.pause()


def start_life(size_bytes: int) -> int:
    """Start a life under AGENT_PID; return its start in ticks once it holds its memory."""
    ready, told = os.pipe()
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(AGENT_PID - 1))
    pid = os.fork()
    if pid == 0:
        live(size_bytes, told)
    assert pid == AGENT_PID, f"got pid {pid}"
    PIDFILE.with_suffix(".new").write_text(str(pid))
    PIDFILE.with_suffix(".new").rename(PIDFILE)
    os.read(ready, 1)
    os.close(ready)
    os.close(told)
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def end_life(start_ticks: int) -> None:
    """End it; the next one must not start in the same clock tick, or it is no other identity."""
    tick = 1 / os.sysconf("SC_CLK_TCK")
    while time.clock_gettime(time.CLOCK_BOOTTIME) < (start_ticks + 1.5) * tick:
        time.sleep(tick / 4)
    os.kill(AGENT_PID, signal.SIGKILL)
    os.waitpid(AGENT_PID, 0)


def main(lives: int) -> None:
    """Run the lives, then compare what was sampled with what was."""
    sampler = os.fork()
    if sampler == 0:
        sample_until_killed()
    while not SAMPLES.exists():
        time.sleep(0.01)
    held: dict[int, int] = {}
    for number in range(lives):
        size_bytes = number % 5 * STEP_BYTES
        start_ticks = start_life(size_bytes)
        held[start_ticks] = size_bytes
        end_life(start_ticks)
    os.kill(sampler, signal.SIGKILL)
    os.waitpid(sampler, 0)
    own = int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
    seen: set[int] = set()
    mixed = []
    for line in SAMPLES.read_text().splitlines()[:-1]:  # the last one may be torn
        start_ticks, resident_bytes = map(int, line.split())
        seen.add(start_ticks)
        if start_ticks not in held or resident_bytes > own + held[start_ticks] + STEP_BYTES // 2:
            mixed.append([start_ticks, resident_bytes])
    print(json.dumps({"lives": len(held), "lives_sampled": len(seen), "mixed": mixed[:10]}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
