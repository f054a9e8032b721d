"""Responders for tests without the second of imports that each start takes: forked, not executed.

    python -m tests.support.fork_server        (tests.support.forked_programs runs and asks it)

The server imports the responder once, and forks for each start. A child takes on what a program
that is executed would have: session, log, environment, folder, standard files, signals, and the
end along with its parent. Then it runs the entry point as Python would. What differs: the command
line in /proc, a shared hash seed, and memory that it shares with the server.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from importlib import import_module
from typing import Any

IMPORTED = (
    "memleash_responder.cli",
    "memleash_responder.adapters.ssh.commands",
    # What a responder imports as it starts, and the first of them with its first command.
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
)

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Child:
    """A child, and the connection of whoever wanted it."""

    pid: int
    pidfd: int
    asked_by: socket.socket

    def close(self) -> None:
        os.close(self.pidfd)
        self.asked_by.close()


class Server:
    """Forks for each connection that comes on a socket, until that is closed.

    A connection brings one request. The child answers ``started PID``, and once it has ended, the
    server says ``ended CODE``. It stays a zombie until the connection is closed, so that nobody
    else can get its process id before.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ, None)
        self._children: dict[int, Child] = {}

    def next_child(self) -> tuple[dict[str, Any], socket.socket] | None:
        """Return, in a child, its request and the connection; None, in the server, at the end."""
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._attend(key.data, ended=key.fileobj == key.data.pidfd)
                    continue
                sent, connections, _, _ = socket.recv_fds(self._requests, 1, 1)
                if not sent:
                    return None
                asked_by = socket.socket(fileno=connections[0])
                request = json.loads(asked_by.recv(1 << 20))
                if self._forks(asked_by):
                    return request, asked_by

    def _forks(self, asked_by: socket.socket) -> bool:
        """Fork, and return whether this is the child."""
        pid = os.fork()
        if pid == 0:
            self._selector.close()
            self._requests.close()
            for other in self._children.values():
                other.close()
            return True
        child = Child(pid, os.pidfd_open(pid), asked_by)
        self._children[pid] = child
        self._selector.register(child.pidfd, selectors.EVENT_READ, child)
        return False

    def _attend(self, child: Child, *, ended: bool) -> None:
        if ended:
            self._selector.unregister(child.pidfd)
            child.asked_by.send(f"ended {_exit_code(child.pid)}".encode())
            self._selector.register(child.asked_by, selectors.EVENT_READ, child)
            return
        self._selector.unregister(child.asked_by)  # it is closed over there
        os.waitpid(child.pid, 0)
        del self._children[child.pid]
        child.close()


def _exit_code(pid: int) -> int:
    """Return the exit code of a child that has ended, as subprocess has it; it stays a zombie."""
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def main() -> None:
    """Serve on standard input; in a child, be the program that was asked for."""
    gc.disable()  # what is imported is garbage at no time
    for module in IMPORTED:
        import_module(module)
    assert threading.active_count() == 1, "only one thread goes on in a child"
    gc.freeze()
    asked = Server(socket.socket(fileno=os.dup(0))).next_child()
    if asked is None:
        return
    request, asked_by = asked
    gc.enable()
    _take_on(request)
    asked_by.send(f"started {os.getpid()}".encode())
    asked_by.close()
    _run(request["argv"])


def _take_on(request: dict[str, Any]) -> None:
    """Have what an executed program would have; tests/unit/support compares the two."""
    os.setsid()
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    os.chdir(request["folder"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for opened, standard in ((null, 0), (log, 1), (log, 2)):
        os.dup2(opened, standard)
    os.close(null)
    os.close(log)


def _run(argv: list[str]) -> None:
    """Run a script, or a module after ``python -m``, as Python does."""
    if argv[0] == sys.executable:
        sys.argv = argv[2:]
        runpy.run_module(argv[2], run_name="__main__", alter_sys=True)
    else:
        sys.argv = argv
        runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
