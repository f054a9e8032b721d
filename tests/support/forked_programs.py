"""The other side of tests.support.fork_server: responders as processes like any other.

``forked_responders`` has every responder of a module's tests forked from one server. A module
with ``pytestmark = pytest.mark.executed`` runs the programs themselves, as production does.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from demo.stack import processes
from demo.stack.own_programs import ENVIRONMENT, SCRIPTS

FORKED = (
    (str(SCRIPTS / "memleash-responder"),),
    (sys.executable, "-m", "demo.stack.faulty_responder"),
    (sys.executable, "-m", "tests.support.former_release"),
    (sys.executable, "-m", "tests.support.hurried_responder"),
    (sys.executable, "-m", "tests.support.next_release"),
)
"""How the command lines begin that all are a responder, or one with a few parts exchanged."""


class ForkedProcess:
    """A child of the server, as subprocess.Popen shows one."""

    def __init__(self, connection: socket.socket) -> None:
        """Wait until it has begun to run."""
        said, _, number = connection.recv(32).decode().partition(" ")
        assert said == "started", "its error is in what the tests write"
        self._connection = connection
        self.pid = int(number)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raises TimeoutExpired."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self.returncode = int(self._connection.recv(32).decode().removeprefix("ended "))
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired("a forked responder", timeout or 0) from None
            self.close()
        return self.returncode

    def close(self) -> None:
        """Give its process id free."""
        self._connection.close()


class ForkServer:
    """The server's process, which is started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def launch(
        self, argv: Sequence[str | Path], log: Path, environment: Mapping[str, str]
    ) -> processes.Process:
        """Run a program: a responder forked, any other executed."""
        words = [str(word) for word in argv]
        if environment != ENVIRONMENT or not any(
            tuple(words[: len(begin)]) == begin for begin in FORKED
        ):
            return processes.execute(argv, log, environment)
        request = {
            "argv": words,
            "log": str(log),
            "environment": {**os.environ, **environment},
            "folder": str(Path.cwd()),
            "umask": _umask(),
        }
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here.send(json.dumps(request).encode())
        with self._lock, there:
            socket.send_fds(self._started(), [b"1"], [there.fileno()])
        return ForkedProcess(here)

    def _started(self) -> socket.socket:
        if self._requests is None:
            self._requests, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with there:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.support.fork_server"],
                    stdin=there.fileno(),
                    env={**os.environ, **ENVIRONMENT},
                    start_new_session=True,
                )
        return self._requests

    def stop(self) -> None:
        """End the server, which ends its children."""
        if self._requests is not None and self._process is not None:
            self._requests.close()
            self._process.wait()


def _umask() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    raise OSError("/proc/self/status names no umask")


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """One server for all modules that this process runs."""
    server = ForkServer()
    yield server
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def forked_responders(request: pytest.FixtureRequest, fork_server: ForkServer) -> Iterator[None]:
    """Fork the responders of a module, unless it is marked ``executed``."""
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("executed") is None:
            patch.setattr(processes, "launch", fork_server.launch)
        yield
