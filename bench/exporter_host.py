"""A host to measure on: many idle processes, some agents, and exporters that watch them."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_FILL = """
import os, signal, sys
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        os.execv("/bin/sleep", ["sleep", "100000"])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("full", flush=True)
sys.stdin.read()
os.killpg(0, signal.SIGTERM)
for _ in range(int(sys.argv[1])):
    os.wait()
"""
_START_SECONDS = 60.0


def processes_on_host() -> int:
    """Return how many processes there are now."""
    return sum(name.isdigit() for name in os.listdir("/proc"))  # noqa: PTH208 - names only


@contextmanager
def filled_to(total: int) -> Iterator[None]:
    """Have at least ``total`` processes on the host, idle ones, until the end of the block."""
    missing = max(0, total - processes_on_host())
    with subprocess.Popen(
        [sys.executable, "-S", "-c", _FILL, str(missing)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as filler:
        assert filler.stdout is not None
        try:
            filler.stdout.readline()
            yield
        finally:
            filler.communicate(timeout=_START_SECONDS)  # the next host begins without these


def start_agent(number: int) -> subprocess.Popen[bytes]:
    """Start the agent of this number: an idle process that both exporters can tell by its name."""
    agent = subprocess.Popen(
        [f"memleash-bench-agent-{number:02}", "100000"], executable="/bin/sleep"
    )
    line = Path(f"/proc/{agent.pid}/cmdline")
    while not line.read_bytes().startswith(b"memleash-bench-agent-"):
        time.sleep(0.001)
    return agent


def end_agent(agent: subprocess.Popen[bytes]) -> None:
    """Kill and reap it."""
    agent.kill()
    agent.wait()


@contextmanager
def agents(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Have ``count`` agents; the list may be changed in the block, its processes are ended."""
    running = [start_agent(number) for number in range(count)]
    try:
        yield running
    finally:
        for agent in running:
            end_agent(agent)


@dataclass
class Scraped:
    """A program that is scraped over one kept connection, as Prometheus does it."""

    process: subprocess.Popen[bytes]
    connection: http.client.HTTPConnection

    def scrape(self) -> bytes:
        """Return the body of a scrape."""
        self.connection.request("GET", "/metrics")
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, answer.status
        return body

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its threads so far, to the nanosecond."""
        return time.clock_gettime((~self.process.pid << 3) | 2)  # clock_getcpuclockid(3)

    def memory_bytes(self) -> int:
        """Return its resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmRSS:")[1].split()[0]) * 1024


@contextmanager
def running(argv: Sequence[str], port: int, cwd: Path) -> Iterator[Scraped]:
    """Run a program that serves /metrics on ``port`` of loopback, until it listens and on."""
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=cwd)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                connection.connect()
                break
            except ConnectionRefusedError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{argv[0]} does not serve") from None
                time.sleep(0.05)
        connection.close()  # the first scrape opens it: one that waits to begin is hung up on
        yield Scraped(process, connection)
    finally:
        connection.close()
        process.kill()
        process.wait()
