"""Programs as child processes: started in a session of their own, ended with all they started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 120.0
"""How long to wait for what must come: no measure of speed, a slow machine has to get there too."""

ENDING_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""Before a command: should this process be killed, the kernel ends the child along with it."""

_STOP_SECONDS = 10
_POLL_SECONDS = 0.05


class ProgramFailed(Exception):
    """A program did not start, or ended before its time. The message ends with its log's end."""


class NotInTime(Exception):
    """Something that was waited for did not come."""

    def __init__(self, expected: str, seen: object, waited_seconds: float) -> None:
        self.expected = expected
        self.seen = seen
        super().__init__(f"expected {expected}; seen after {waited_seconds:.0f} s: {seen}")


def wait_until(
    expected: str,
    look: Callable[[], T | None],
    *,
    timeout_seconds: float = PATIENCE_SECONDS,
    every_seconds: float = _POLL_SECONDS,
    seen: Callable[[], object] = lambda: "nothing",
) -> T:
    """Return the first result of ``look`` that is true.

    Raises NotInTime, with ``expected`` and what ``seen`` tells, after ``timeout_seconds``.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        result = look()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise NotInTime(expected, seen(), timeout_seconds)
        time.sleep(every_seconds)


class Process(Protocol):
    """A process as subprocess.Popen shows one; tests may have another kind."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...


def execute(argv: Sequence[str | Path], log: Path, environment: Mapping[str, str]) -> Process:
    """Run a program in a session of its own, which writes to ``log``, until we end."""
    with log.open("ab") as opened:
        return subprocess.Popen(
            [*ENDING_WITH_US, *argv],
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **environment},
        )


launch = execute
"""How every Program is run."""


@dataclass(slots=True)
class Program:
    """One program: how it is run, and the process while it runs."""

    name: str
    argv: Sequence[str | Path]
    log: Path
    """Gets what the program writes, over all its starts."""
    answers: Callable[[], bool]
    """Whether it is up and can be used."""
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: Process | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ProgramFailed(f"{self.name} is not running")
        return self._process.pid

    def start(self, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Start the program and wait until it answers. Raises ProgramFailed."""
        self._process = process = launch(self.argv, self.log, self.environment)
        try:
            wait_until(
                f"{self.name} to answer",
                lambda: process.poll() is not None or self.answers(),
                timeout_seconds=timeout_seconds,
            )
        except NotInTime as error:
            raise ProgramFailed(f"{error}\n{self.log_end()}") from error
        if process.poll() is not None:
            raise ProgramFailed(f"{self.name} ended with code {process.poll()}\n{self.log_end()}")

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the program and all that it started in its session: asked first, then killed."""
        self._end(signal.SIGTERM, _STOP_SECONDS)
        self._end(signal.SIGKILL, _STOP_SECONDS)
        self._process = None

    def kill(self) -> None:
        """End the program at once, as a power cut does."""
        self._end(signal.SIGKILL, _STOP_SECONDS)
        self._process = None

    def _end(self, number: signal.Signals, timeout_seconds: float) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):  # the whole group is gone
            os.killpg(self._process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_seconds)

    def log_end(self, lines: int = 20) -> str:
        """Return the last lines of the log."""
        kept = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        return "\n".join([f"--- the end of {self.log}:", *kept])
