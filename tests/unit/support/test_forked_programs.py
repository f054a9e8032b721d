"""A forked responder has what an executed one has, and ends as it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack.own_programs import ENVIRONMENT
from demo.stack.processes import Process, execute, wait_until
from tests.support import forked_programs
from tests.support.forked_programs import ForkedProcess, ForkServer

pytestmark = pytest.mark.one_python

REPORT = """\
#!{python}
import ctypes, json, os, resource, signal, sys, threading, time
death = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(death))
with open({target!r}, "w") as target:
    json.dump({{
        "name": __name__,
        "arguments": sys.argv,
        "environment": dict(os.environ),
        "zone": time.tzname,
        "folder": os.getcwd(),
        "umask": os.umask(0o022),
        "session": os.getsid(0) == os.getpgid(0) == os.getpid(),
        "ends with its parent": death.value,
        "files": sorted(os.listdir("/proc/self/fd")),
        "standard files": [os.path.realpath(f"/proc/self/fd/{{one}}") for one in range(3)],
        "encodings": [(one.encoding, one.line_buffering) for one in (sys.stdout, sys.stderr)],
        "handlers": [repr(signal.getsignal(one)) for one in sorted(signal.valid_signals())],
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "limits": [resource.getrlimit(one) for one in range(16)],
        "threads": threading.active_count(),
        "collector": __import__("gc").isenabled(),
    }}, target)
print("said")
print("complained", file=sys.stderr)
sys.exit(7)
"""


@pytest.fixture
def server() -> Iterator[ForkServer]:
    one = ForkServer()
    yield one
    one.stop()


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that the server forks."""
    file = tmp_path / "program"
    monkeypatch.setattr(forked_programs, "FORKED", ((str(file),),))
    return file


def written(script: Path, code: str) -> Path:
    script.write_text(code, encoding="utf-8")
    script.chmod(0o755)
    return script


def forked(server: ForkServer, script: Path, *arguments: str) -> ForkedProcess:
    process = server.launch([script, *arguments], script.with_suffix(".log"), ENVIRONMENT)
    assert isinstance(process, ForkedProcess)
    return process


def test_it_begins_as_an_executed_one_does(
    server: ForkServer, script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report"
    written(script, REPORT.format(python=sys.executable, target=str(target)))
    assert forked(server, script).wait() == 7
    monkeypatch.setenv("ADDED", "since the server began")
    monkeypatch.chdir(tmp_path)
    reports = []
    for launch in (execute, server.launch):
        log = tmp_path / "log"
        log.write_text("before\n")
        process = launch([script, "--flag", "a word"], log, ENVIRONMENT)
        assert process.wait() == 7
        assert sorted(log.read_text().splitlines()) == ["before", "complained", "said"]
        reports.append(json.loads(target.read_text()))
    executed, by_fork = reports
    assert by_fork == executed
    assert by_fork["environment"]["ADDED"] == "since the server began"


def test_a_signal_ends_it_and_its_exit_code_says_which(server: ForkServer, script: Path) -> None:
    written(script, "import signal\nprint('up', flush=True)\nsignal.pause()\n")
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = forked(server, script)
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        os.killpg(process.pid, number)
        assert process.wait() == process.poll() == -number


def test_its_process_id_is_kept_until_its_end_was_seen(server: ForkServer, script: Path) -> None:
    written(script, "")
    process = forked(server, script)
    stat = Path(f"/proc/{process.pid}/stat")
    wait_until("a zombie", lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z")
    assert process.wait() == 0
    wait_until("the server to have seen it", lambda: not stat.exists())


def test_it_ends_along_with_the_server(server: ForkServer, script: Path) -> None:
    written(script, "import signal\nsignal.pause()\n")
    process = forked(server, script)
    server.stop()
    wait_until("its end", lambda: not Path(f"/proc/{process.pid}").exists())
    process.close()


def test_what_is_no_responder_is_executed(server: ForkServer, tmp_path: Path) -> None:
    process: Process = server.launch(["false"], tmp_path / "log", {})
    assert process.wait() == 1
    assert isinstance(process, subprocess.Popen)
