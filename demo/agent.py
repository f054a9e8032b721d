"""The sample agent: a process that really holds memory, and really stops answering.

    python -m demo.agent --listen 127.0.0.1:7070 --name sample-agent

It listens only --start-delay seconds after its start, as a slow service does. Memory is grown
by --grow-mib-per-second, or on demand; each page is written, so it counts as resident.
A dump holds its only thread, as a stop-the-world dump does: it answers nothing at all until the
time is over or SIGUSR1 comes. All the while a busy marker says why.

    GET  /host/echo                     200, the health check
    GET  /status                        {"busy", "reason", "resident_bytes", "pid"}
    POST /grow {"to_mib": 96}           grows to that resident size, then answers
    POST /grow {"mib_per_second": 5}    grows by itself from now on (0: no more)
    POST /dump {"seconds": 20}          202, then silence; "quiet": false keeps it answering
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import select
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import HTTPServer
from pathlib import Path

from demo.json_server import Answer, Refusal, Request, listen

MIB = 1024 * 1024
_PR_SET_PTRACER, _PR_SET_PTRACER_ANY = 0x59616D61, ctypes.c_ulong(-1)  # prctl(2)
END_OF_DUMP = signal.SIGUSR1
_STEP_SECONDS = 0.1
_REPLY_BYTES = 16384
_BODY_BYTES = 16248  # the rest is what CPython and malloc put around it


def resident_bytes() -> int:
    """Return this process's resident set size, as the kernel counts it."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Reply:
    """An answer to somebody who will never ask for it again."""

    body: bytes


KEPT: list[Reply] = []
"""The leak."""


class Leak:
    """Memory that is held for ever, in replies of 16 KiB each."""

    def __init__(self) -> None:
        self.mib_per_second = 0.0
        self._owed_bytes = 0

    def add(self, size_bytes: int) -> None:
        """Hold ``size_bytes`` more. Written, not just reserved: a zeroed page isn't resident."""
        replies, self._owed_bytes = divmod(self._owed_bytes + size_bytes, _REPLY_BYTES)
        KEPT.extend(Reply(b"\x01" * _BODY_BYTES) for _ in range(replies))

    def run(self) -> None:
        """Grow at ``mib_per_second`` for ever."""
        while True:
            time.sleep(_STEP_SECONDS)
            if self.mib_per_second > 0:
                self.add(int(self.mib_per_second * MIB * _STEP_SECONDS))


class Agent:
    """What the agent answers, and what it does."""

    def __init__(self, name: str, busy_directory: Path | None) -> None:
        self.leak = Leak()
        self.busy_until = 0.0
        self._marker = busy_directory / name / "dump.json" if busy_directory else None

    def echo(self, _: Request) -> Answer:
        return Answer({"status": "ok"})

    def status(self, _: Request) -> Answer:
        busy = time.monotonic() < self.busy_until
        return Answer(
            {
                "busy": busy,
                "reason": "dump" if busy else "",
                "resident_bytes": resident_bytes(),
                "pid": os.getpid(),
            }
        )

    def grow(self, request: Request) -> Answer:
        asked = _numbers(request.body, "to_mib", "mib_per_second")
        if "mib_per_second" in asked:
            self.leak.mib_per_second = asked["mib_per_second"]
        wanted_bytes = int(asked.get("to_mib", 0) * MIB)
        while (missing_bytes := wanted_bytes - resident_bytes()) > 0:
            self.leak.add(missing_bytes)
        return Answer({"resident_bytes": resident_bytes()})

    def dump(self, request: Request) -> Answer:
        """Start a dump. 1. the marker is written, 2. the caller is told, 3. silence."""
        seconds = _numbers(request.body, "seconds").get("seconds", 10.0)
        self.busy_until = time.monotonic() + seconds
        if isinstance(request.body, dict) and request.body.get("quiet") is False:
            return Answer({"busy_seconds": seconds}, 202)
        self._write_marker(seconds)
        return Answer({"busy_seconds": seconds}, 202, afterwards=lambda: self._silence(seconds))

    def _silence(self, seconds: float) -> None:
        signal.sigtimedwait({END_OF_DUMP}, seconds)
        self.busy_until = 0.0
        if self._marker is not None:
            self._marker.unlink(missing_ok=True)

    def _write_marker(self, seconds: float) -> None:
        if self._marker is None:
            return
        self._marker.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._marker.with_name(".dump.json.new")
        content = {"reason": "dump", "pid": os.getpid(), "expires_at": time.time() + seconds + 5}
        fresh.write_text(json.dumps(content), encoding="utf-8")
        fresh.replace(self._marker)


def _numbers(body: object, *allowed: str) -> dict[str, float]:
    """Return the numbers of ``body``; raises Refusal for one that is negative or no number."""
    if not isinstance(body, dict):
        raise Refusal(400, f"give a JSON object with one of {', '.join(allowed)}")
    found: dict[str, float] = {}
    for name in allowed:
        if name in body:
            value = body[name]
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise Refusal(400, f"{name} must be a number that is not negative")
            found[name] = float(value)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="memleash's sample agent: it leaks, and dumps")
    parser.add_argument("--listen", default="127.0.0.1:7070", metavar="HOST:PORT")
    parser.add_argument("--name", default="sample-agent", help="the agent's name in busy markers")
    parser.add_argument("--busy-directory", type=Path, help="where the busy marker goes")
    parser.add_argument("--start-delay", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("--grow-mib-per-second", type=float, default=0.0, metavar="MIB")
    parser.add_argument("--hold-mib", type=int, default=0, metavar="MIB", help="from its start on")
    parser.add_argument(
        "--end-with", type=int, metavar="PID", help="end when this process is gone (tests, demo)"
    )
    options = parser.parse_args()

    _let_our_own_user_look()
    # Blocked in every thread, so that a late end-of-dump signal never kills the agent.
    signal.pthread_sigmask(signal.SIG_BLOCK, {END_OF_DUMP})
    agent = Agent(options.name, options.busy_directory)
    agent.leak.add(options.hold_mib * MIB)
    agent.leak.mib_per_second = options.grow_mib_per_second
    threading.Thread(target=agent.leak.run, daemon=True).start()
    if options.end_with is not None:
        threading.Thread(target=end_with, args=(options.end_with,), daemon=True).start()
    time.sleep(options.start_delay)
    routes = {
        ("GET", "/host/echo"): agent.echo,
        ("GET", "/status"): agent.status,
        ("POST", "/grow"): agent.grow,
        ("POST", "/dump"): agent.dump,
    }
    server = listen(options.listen, routes, HTTPServer)
    server.serve_forever()


def _let_our_own_user_look() -> None:
    """Let a diagnosis read this process without root, where Yama forbids it (Ubuntu's default)."""
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _PR_SET_PTRACER_ANY, 0, 0, 0)


def end_with(pid: int) -> None:
    """End this process once the process ``pid`` is gone, even if that one was killed."""
    with suppress(ProcessLookupError):
        watched = os.pidfd_open(pid)
        select.select([watched], [], [])
    os._exit(0)


if __name__ == "__main__":
    main()
