"""Real agents that leak, and the diagnoser as the responder sends it, without SSH between."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.stack.leaking_agents import AGENTS, MOST_STALL_SECONDS, compiled, heart_file
from demo.stack.processes import ENDING_WITH_US, wait_until
from memleash_diagnoser import hook
from memleash_responder.adapters import diagnoser_program as shipping
from memleash_responder.adapters.diagnoser_program import Plan, Verb

PACKAGED_HOOK = Path(__file__).parents[3] / "packaging" / "hook"


MIB = 1024**2


@pytest.fixture(scope="session")
def leaking_c(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C program that leaks."""
    return compiled(tmp_path_factory.mktemp("c"))


Agent = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def agent(tmp_path: Path, heart: Heart) -> Iterator[Agent]:
    """Start an agent of agents/ (or any program) that ends with the test."""
    shutil.copyfile(hook.__file__, tmp_path / "memleash_hook.py")
    with contextlib.ExitStack() as stack:

        def start(
            *argv: str | Path, python: str | Path = sys.executable, path: str = str(tmp_path)
        ) -> subprocess.Popen[bytes]:
            first = Path(argv[0])
            words = [python, AGENTS / first] if first.suffix == ".py" else [first]
            child = subprocess.Popen(
                [*ENDING_WITH_US, *map(str, words), *map(str, argv[1:])],
                env={
                    **os.environ,
                    "PYTHONPATH": path,
                    "AGENT_PASSWORD": "hunter2",
                    "HEART": str(heart.told),
                },
            )
            stack.callback(child.wait)
            stack.callback(child.kill)
            return child

        yield start


@dataclasses.dataclass
class Diagnosis:
    """What the responder would do over SSH, done by a local shell."""

    plan: Plan
    python: str = sys.executable
    path: str = ""

    def tell(self, verb: Verb, *arguments: str) -> dict[str, Any]:
        """Return the diagnoser's answer."""
        done = subprocess.run(
            shipping.command(verb, self.plan, self.python, *arguments),
            shell=True,
            input=shipping.packed() if verb is Verb.START else b"",
            capture_output=True,
            check=False,
            env={**os.environ, "PATH": self.path} if self.path else None,
        )
        assert done.stderr == b""
        return dict(json.loads(done.stdout))

    def ended(self, *, seconds: float = 60.0) -> dict[str, Any]:
        """Wait for the end and return how it ended."""

        def end() -> dict[str, Any] | None:
            answer = self.tell(Verb.STATUS)
            return None if answer["state"] == "running" else answer

        return dict(wait_until("the diagnosis ends", end, timeout_seconds=seconds))

    def report(self) -> dict[str, Any]:
        """Return report.json, with report.md's text and the names of all files."""
        packed = b""
        while piece := base64.b64decode(self.tell(Verb.READ, str(len(packed)))["data"]):
            packed += piece
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            files = {name: tar.extractfile(name) for name in tar.getnames()}
            texts = {
                name: file.read().decode(errors="replace") for name, file in files.items() if file
            }
        return {**json.loads(texts["report.json"]), "md": texts["report.md"], "texts": texts}

    def markers(self) -> list[Path]:
        """Return the busy markers that stand."""
        folder = Path(self.plan.marker_root, self.plan.agent)
        return [file for file in folder.glob("*") if not file.name.startswith(".")]

    def working(self) -> None:
        """Wait until the marker stands and the rounds have begun."""
        wait_until("a busy marker", self.markers)


@dataclasses.dataclass
class Heart:
    """The heartbeats of the test's agent (demo/leaking_agents/heart.py)."""

    told: Path

    def beats(self) -> int:
        """Return how many there were."""
        told = self.told.read_text().split() if self.told.exists() else []
        return int(told[0]) if told else 0

    def works_on(self) -> bool:
        """Return whether the agent works on, however long it stood still."""
        before = self.beats()
        wait_until("the agent works on", lambda: self.beats() > before)
        return True

    def goes_on(self) -> bool:
        """Return whether the agent works on, and never stood still for longer than it may.

        What it waited for a CPU itself is no stall, so tests that only read it run in pairs
        (``heartbeat``). But a tool that holds it for a look waits for a CPU as well: ``alone``.
        """
        self.works_on()
        longest = float(self.told.read_text().split()[1])
        assert longest <= MOST_STALL_SECONDS
        return True


@pytest.fixture
def heart() -> Iterator[Heart]:
    """The heartbeats of the one agent that the test starts."""
    with heart_file() as told:
        yield Heart(told)


@pytest.fixture
def diagnosis_of(tmp_path: Path) -> Callable[..., Diagnosis]:
    """Make a diagnosis of a pid, with short rounds; other keys of the plan as given."""

    def make(pid: int, profile: str = "python", **changes: Any) -> Diagnosis:
        plan = Plan(
            run=f"run-{pid}",
            agent="demo",
            discover="pid",
            target=str(pid),
            profile=profile,
            start_time=None,
            kinds=("types",),
            rounds=4,
            interval_seconds=0.25,
            remote_exec=False,
            native_stacks=False,
            locals=False,
            signal=None,
            urls=(),
            command=None,
            least_growth_bytes=16 * 1024,
            max_rss_bytes=1024 * MIB,
            max_seconds=60.0,
            max_cpu_seconds=60,
            max_report_bytes=16 * MIB,
            free_disk_bytes=1,
            marker_root=str(tmp_path / "busy"),
            work_root=str(tmp_path / "work"),
        )
        return Diagnosis(dataclasses.replace(plan, **changes))

    return make
