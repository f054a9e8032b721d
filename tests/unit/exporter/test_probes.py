"""Probes against servers and commands that misbehave in every way, each within its deadline."""

from __future__ import annotations

import contextlib
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.stack.processes import wait_until
from memleash_exporter.adapters import probes
from memleash_exporter.adapters.systemd import Systemctl
from memleash_exporter.errors import ProbeFailed
from memleash_toolkit.addresses import Url

TIMEOUT = 0.3
SLACK = 30.0  # a shared machine may be slow; a probe that hangs would take for ever


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], Url]]:
    """Serve one behaviour on a free port; every connection gets it."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []
    over = threading.Event()

    def start(behave: Callable[[socket.socket], None]) -> Url:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(0.05)
        listeners.append(listener)

        def accept() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(60)
                    try:
                        connection.recv(4096)
                        behave(connection)
                    except OSError:
                        continue

        threads.append(threading.Thread(target=accept))
        threads[-1].start()
        return Url("http", "127.0.0.1", listener.getsockname()[1], "/status")

    yield start
    over.set()
    for thread in threads:
        thread.join(60)
    for listener in listeners:
        listener.close()


Serve = Callable[[Callable[[socket.socket], None]], Url]


def answer(
    body: bytes, status: str = "200 OK", length: bool = True
) -> Callable[[socket.socket], None]:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
    if length:
        head += f"Content-Length: {len(body)}\r\n"
    return lambda connection: connection.sendall(head.encode() + b"\r\n" + body)


@pytest.mark.parametrize(
    ("body", "field", "busy"),
    [
        (b'{"busy": true}', "busy", True),
        (b'{"busy": false}', "busy", False),
        (b'{"running": 3}', "running", True),
        (b'{"running": ' + b"9" * 400 + b"}", "running", True),
        (b'{"running": 0}', "running", False),
        (b'{"a": {"b": {"c": true}}}', "a.b.c", True),
    ],
)
@pytest.mark.parametrize("length", [True, False])
def test_the_field_is_the_word(
    serve: Serve, body: bytes, field: str, busy: bool, length: bool
) -> None:
    assert probes.http_busy(serve(answer(body, length=length)), field, TIMEOUT + SLACK) is busy


def _hang(connection: socket.socket) -> None:
    connection.recv(1)


def _drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(1000):
        connection.sendall(b"X-Drip: 1\r\n")
        connection.settimeout(0.02)
        try:
            if connection.recv(1) == b"":
                return
        except TimeoutError:
            continue


def _flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(10_000):
        connection.sendall(b"x" * 65536)


def _endless_head(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(10_000):
        connection.sendall(b"X-More: 1\r\n" * 1000)


@pytest.mark.parametrize(
    ("behave", "problem"),
    [
        (_hang, "no answer in time"),
        (_drip, "no answer in time"),
        (_flood, "the body is over 65536 bytes"),
        (_endless_head, "the answer is not HTTP: .*more than 100 headers"),
        (lambda connection: connection.close(), "the answer is cut short"),
        (answer(b'{"busy": true}', "500 Internal Server Error"), "status 500"),
        (answer(b'{"busy": true}', "302 Found"), "status 302"),
        (answer(b"<html>"), "the body is not JSON"),
        (answer(b"[" * 60000), "the body is not JSON"),
        (answer(b"[]"), "the body has no field busy"),
        (answer(b'{"bussy": true}'), "the body has no field busy"),
        (answer(b'{"busy": "yes"}'), "field busy is neither true, false nor a number"),
        (answer(b'{"busy": null}'), "field busy is neither true, false nor a number"),
        (answer(b'{"busy": NaN}'), "field busy is neither true, false nor a number"),
        (answer(b'{"busy": 1e999}'), "field busy is neither true, false nor a number"),
        (answer(b'{"busy": -1}'), "field busy is neither true, false nor a number from 0 on"),
        (answer(b'{"busy": ' + b"9" * 5000 + b"}"), "the body is not JSON"),
        (
            lambda connection: connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}"
            ),
            "the body has no field busy",
        ),
        (
            lambda connection: connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}"
            ),
            "the body has no field busy",
        ),
        (
            lambda connection: connection.sendall(b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n{}"),
            "the answer is not HTTP",
        ),
        (
            lambda connection: connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"
            ),
            "the answer is cut short",
        ),
        (
            lambda connection: connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{}"
            ),
            "the answer is cut short",
        ),
        (lambda connection: connection.sendall(b"SSH-2.0-x\r\n\r\n"), "the answer is not HTTP"),
    ],
)
def test_what_is_no_usable_answer_is_no_word(
    serve: Serve, behave: Callable[[socket.socket], None], problem: str
) -> None:
    timeout = TIMEOUT if problem == "no answer in time" else TIMEOUT + SLACK
    url = serve(behave)
    began = time.monotonic()
    with pytest.raises(ProbeFailed, match=problem):
        probes.http_busy(url, "busy", timeout)
    assert time.monotonic() - began < TIMEOUT + SLACK


def test_a_refused_connection_is_no_word_and_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = Url("http", "127.0.0.1", port, "/")
    with pytest.raises(ProbeFailed, match="refused"):
        probes.http_busy(url, "busy", TIMEOUT)
    assert probes.http_ready(url, TIMEOUT) is False
    assert probes.tcp_ready(("127.0.0.1", port), TIMEOUT) is False


@pytest.mark.parametrize(
    ("behave", "ready"),
    [
        (answer(b""), True),
        (answer(b"", "204 No Content"), True),
        (_flood, True),
        (answer(b"", "503 Service Unavailable"), False),
        (answer(b"", "302 Found"), False),
        (_hang, False),
    ],
)
def test_ready_is_a_status_of_200_to_299(
    serve: Serve, behave: Callable[[socket.socket], None], ready: bool
) -> None:
    assert probes.http_ready(serve(behave), TIMEOUT if behave is _hang else SLACK) is ready


def test_ready_is_a_port_that_accepts(serve: Serve) -> None:
    url = serve(_hang)
    assert probes.tcp_ready((url.host, url.port), SLACK) is True


def test_ready_is_a_socket_that_accepts(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    assert probes.unix_ready(path, SLACK) is False, "there is none"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert probes.unix_ready(path, SLACK) is False, "nobody listens yet"
        listener.listen()
        assert probes.unix_ready(path, SLACK) is True
    assert probes.unix_ready(path, SLACK) is False, "it is what an agent that died left"
    assert probes.unix_ready(tmp_path / ("x" * 200), SLACK) is False, "too long for a socket"


def test_a_full_socket_is_not_ready_and_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as waiting:
        listener.bind(str(path))
        listener.listen(0)
        for _ in range(4):
            line = waiting.enter_context(socket.socket(socket.AF_UNIX))
            line.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                line.connect(str(path))
        assert probes.unix_ready(path, TIMEOUT) is False


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        ("MainPID=7\nActiveState=active", True),
        ("MainPID=7\nActiveState=activating", False),
        ("MainPID=0\nActiveState=failed", False),
    ],
)
def test_ready_is_a_unit_that_systemd_calls_active(
    tmp_path: Path, answer: str, ready: bool
) -> None:
    program = script(tmp_path, f"[ \"$4\" = a.service ] && printf '{answer}\n'")[0]
    assert probes.systemd_ready(Systemctl(program), "a.service", SLACK) is ready


def test_a_systemd_that_does_not_answer_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(ProbeFailed, match="systemctl did not answer"):
        probes.systemd_ready(Systemctl(script(tmp_path, "exit 1")[0]), "a.service", SLACK)
    hanging = script(tmp_path, "exec sleep 600")[0]
    with pytest.raises(ProbeFailed, match=r"timed out after 0\.3 seconds"):
        probes.systemd_ready(Systemctl(hanging), "a.service", TIMEOUT)
    with pytest.raises(ProbeFailed, match="no systemctl"):
        probes.systemd_ready(Systemctl(str(tmp_path / "none")), "a.service", SLACK)


def script(tmp_path: Path, text: str) -> tuple[str, ...]:
    file = tmp_path / "agent-busy"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return (str(file),)


@pytest.mark.parametrize(("code", "yes"), [(0, True), (1, False)])
def test_a_command_says_yes_with_0_and_no_with_1(tmp_path: Path, code: int, yes: bool) -> None:
    assert probes.command_says_yes(script(tmp_path, f"exit {code}"), SLACK) is yes


@pytest.mark.parametrize("text", ["exit 2", "exit 127", "kill -SEGV $$"])
def test_a_command_that_ends_otherwise_says_nothing(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProbeFailed, match="exited with"):
        probes.command_says_yes(script(tmp_path, text), SLACK)


def test_a_noisy_command_is_not_listened_to(tmp_path: Path) -> None:
    noisy = script(tmp_path, "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 1")
    assert probes.command_says_yes(noisy, SLACK) is False


def test_a_hanging_command_is_killed_with_all_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    leaves_pid = f"sleep 600 & echo $! > {pids}.new; mv {pids}.new {pids}"
    hanging = script(tmp_path, f"{leaves_pid}; trap '' TERM; wait; sleep 600")

    def is_killed() -> bool:
        began = time.monotonic()
        with pytest.raises(ProbeFailed, match="did not end in time"):
            probes.command_says_yes(hanging, 1.0)
        assert time.monotonic() - began < 1.0 + SLACK
        return pids.exists()

    wait_until("a command that had started its child in time", is_killed)
    child = int(pids.read_text())
    wait_until("the command's child to end", lambda: not _runs(child))


def _runs(pid: int) -> bool:
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_command_that_cannot_be_run_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "not-executable"
    file.write_text("exit 0")
    for argv in ((str(file),), (str(tmp_path / "none"),)):
        with pytest.raises(ProbeFailed, match="cannot be run"):
            probes.command_says_yes(argv, SLACK)
