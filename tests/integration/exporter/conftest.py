"""The exporter as a running program, and an agent that does as it is told."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from demo.stack.processes import ENDING_WITH_US, wait_until

ROOT = Path(__file__).parents[3]

_AGENT = """
import os, sys
held = []
print("ready", flush=True)
for line in sys.stdin:
    word, _, argument = line.strip().partition(" ")
    if word == "grow":
        held.append(bytearray(os.urandom(1) * (int(argument) << 20)))
    elif word == "fork":
        if os.fork() == 0:
            os.execv(sys.executable, [argument, "-S", "-c", "import time; time.sleep(600)"])
    elif word == "leak":
        if os.fork() == 0:
            held.append(bytearray(os.urandom(1) * (int(argument) << 20)))
            os.read(os.pipe()[0], 1)  # for ever
    elif word == "exec":
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    print("done", flush=True)
"""


@dataclass
class Agent:
    """A live process that grows, forks and execs when told."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, name: str) -> Agent:
        process = subprocess.Popen(
            [*ENDING_WITH_US, sys.executable, "-S", "-c", _AGENT, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        agent = cls(process)
        agent.heard("ready")
        return agent

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, word: str, answer: str = "done") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        self.heard(answer)

    def heard(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == word + "\n"

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, 9)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@pytest.fixture
def agents() -> Iterator[Callable[[str], Agent]]:
    started: list[Agent] = []

    def start(name: str) -> Agent:
        started.append(Agent.start(name))
        return started[-1]

    yield start
    for agent in started:
        agent.end()


@dataclass
class Exporter:
    """A running memleash-exporter."""

    process: subprocess.Popen[str]
    log_file: Path
    port: int
    samples: dict[str, float] = field(default_factory=dict)

    def get(self, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def scrape(self) -> dict[str, float]:
        """Return the samples by name and labels, as ``name{agent="a"}``."""
        status, text = self.get()
        assert status == 200
        return {
            sample.name
            + (
                "{" + ",".join(f"{k}={v}" for k, v in sample.labels.items()) + "}"
                if sample.labels
                else ""
            ): (sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def log(self) -> str:
        return self.log_file.read_text()

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


@pytest.fixture
def run_exporter(tmp_path: Path) -> Iterator[Callable[..., Exporter]]:
    """Start exporters with a configuration (as data) and further flags."""
    running: list[Exporter] = []

    def start(config: object, *flags: str, prefix: tuple[str, ...] = ()) -> Exporter:
        file = tmp_path / "exporter.yml"
        file.write_text(json.dumps(config))
        log_file = tmp_path / f"exporter-{len(running)}.log"
        with log_file.open("w") as log:
            process = subprocess.Popen(
                [
                    *ENDING_WITH_US,
                    *prefix,
                    *(sys.executable, "-m", "memleash_exporter", "--config.file", str(file)),
                    *("--web.listen-address", "127.0.0.1:0", "--log.level", "debug", *flags),
                ],
                stderr=log,
                text=True,
                cwd=ROOT,
                start_new_session=True,
            )

        def listening() -> re.Match[str] | None:
            assert process.poll() is None, log_file.read_text()
            return re.search(r"msg=listening .*port=(\d+)", log_file.read_text())

        match = wait_until("the exporter to listen", listening)
        running.append(Exporter(process, log_file, int(match[1])))
        return running[-1]

    yield start
    for exporter in running:
        with contextlib.suppress(ProcessLookupError):  # the whole group: strace leaves its child
            os.killpg(exporter.process.pid, signal.SIGKILL)
        exporter.process.wait()
