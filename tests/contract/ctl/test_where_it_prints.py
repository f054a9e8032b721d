"""memleashctl as a program: odd terminals, full disks, closed pipes, bytes as arguments, Ctrl-C.

And what it imports, so that it begins at once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack.processes import wait_until
from memleash_responder.ctl.errors import Exit
from memleash_responder.ctl.main import CLOSED_PIPE
from tests.contract.ctl.server import Server, http

STATUS = {
    "version": "1",
    "paused": True,
    "pauses": [
        {
            "name": "rack-7",
            "by": "Łukasz \u202e",
            "reason": "",
            "since": "2026-01-01T00:00:00Z",
            "until": None,
        }
    ],
    "storm": None,
    "open_restarts": 1,
    "awaiting_approval": 0,
    "muted_hosts": 0,
    "quarantined": 0,
    "disconnected": ["höst"],
    "maintenance": [],
}
PROGRAM = [sys.executable, "-c", "from memleash_responder.ctl import main; main()"]


@pytest.fixture
def responder() -> Iterator[Server]:
    with Server(http(json.dumps(STATUS).encode())).running() as server:
        yield server


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"HOME": "/nonexistent"} | changes


def ctl(
    *words: str | bytes, stdout: int = subprocess.PIPE, env: dict[str, str] | None = None
) -> tuple[int, str, str]:
    done = subprocess.run(
        [*PROGRAM, *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=120,
        env=environment(**(env or {})),
        check=False,
    )
    return done.returncode, (done.stdout or b"").decode("latin-1"), done.stderr.decode()


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        (
            {"LANG": "C.UTF-8"},
            ("Łukasz".encode().decode("latin-1"), "höst".encode().decode("latin-1")),
        ),
        ({"PYTHONIOENCODING": "latin-1"}, ("\\u0141ukasz", "höst")),
        ({"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, ("\\u0141ukasz", "h\\xf6st")),
    ],
)
def test_what_a_terminal_lacks_is_an_escape(
    responder: Server, changes: dict[str, str], shown: tuple[str, ...]
) -> None:
    code, out, err = ctl("--url", responder.url, "status", env=changes)
    assert (code, err) == (Exit.DONE, "")
    assert all(word in out for word in shown)
    assert "\\u202e" in out


@pytest.mark.parametrize("words", [["status"], ["-o", "json", "status"], ["--help"], ["--version"]])
def test_a_full_disk_is_5_and_one_line(responder: Server, words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, err = ctl("--url", responder.url, *words, stdout=full.fileno())
    assert code == Exit.NOT_WRITTEN
    assert err == "memleashctl: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("words", [["status"], ["-o", "json", "status"], ["--help"]])
def test_a_closed_pipe_is_quiet(responder: Server, words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code, _, err = ctl("--url", responder.url, *words, stdout=writer)
    finally:
        os.close(writer)
    assert (code, err) == (CLOSED_PIPE, "")


def test_no_output_at_all_is_quiet(responder: Server) -> None:
    command = [*PROGRAM, "--url", responder.url, "status"]
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *command],
        stderr=subprocess.PIPE,
        timeout=120,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stderr) == (Exit.DONE, b"")


@pytest.mark.parametrize("words", [[b"explain", b"\xff", b"a"], [b"hosts", b"\xff"], [b"\xff"]])
def test_bytes_that_are_not_utf_8_are_2(responder: Server, words: list[bytes]) -> None:
    code, out, err = ctl("--url", responder.url, *words)
    assert (code, out) == (Exit.USAGE, "")
    assert err.startswith("memleashctl: ")
    assert err.count("\n") == 1


def test_a_file_whose_name_is_not_utf_8_is_read(responder: Server, tmp_path: Path) -> None:
    file = os.fsencode(tmp_path) + b"/\xff.yml"
    Path(os.fsdecode(file)).write_text(f"url: {responder.url}", encoding="utf-8")
    assert ctl(b"--config.file", file, b"status")[0] == Exit.DONE


def test_ctrl_c_ends_it_without_a_word() -> None:
    with Server(None).running() as server:
        running = subprocess.Popen(
            [*PROGRAM, "--url", server.url, "status"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            # A test run in the background has Ctrl-C ignored, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        wait_until("the server to be asked", lambda: server.asked, timeout_seconds=60)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (-signal.SIGINT, b"", b"")


WHAT_THE_RESPONDER_NEEDS = {"sqlalchemy", "dbos", "flask", "fabric", "paramiko", "psycopg"}


def imported(*words: str) -> set[str]:
    """Return the modules of memleashctl at its end; the command must be done."""
    program = "from memleash_responder.ctl import main\ntry: main()\n"
    program += "finally: import sys; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(done.stderr.split())


def test_help_imports_neither_the_responders_libraries_nor_those_of_http() -> None:
    modules = imported("--help")
    assert "click" in modules
    assert not modules & {*WHAT_THE_RESPONDER_NEEDS, "requests", "memleash_responder.settings"}


def test_a_command_imports_http_and_none_of_the_responders_libraries(responder: Server) -> None:
    modules = imported("--url", responder.url, "status")
    assert "requests" in modules
    assert not modules & {*WHAT_THE_RESPONDER_NEEDS, "memleash_responder.settings"}
