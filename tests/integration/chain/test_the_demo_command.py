"""`make demo` as a person at a terminal has it: what it leaves behind when it is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from demo.stack.processes import wait_until
from demo.stack.tools import REPOSITORY

pytestmark = pytest.mark.integration


def _processes_of(folder: Path) -> list[str]:
    """Return the command lines that name ``folder``."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended while it was looked at
            continue
        if str(folder) in command:
            found.append(command)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle_it_leaves_nothing(number: int, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with output.open("wb") as written:
        demo = subprocess.Popen(
            [sys.executable, "-m", "demo"],
            cwd=REPOSITORY,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    folder = REPOSITORY / f".run/demo-{demo.pid}"
    try:
        wait_until(
            "the agent to dump",
            lambda: "answers nothing at all" in output.read_text(encoding="utf-8"),
            seen=lambda: output.read_text(encoding="utf-8"),
        )
        assert _processes_of(folder)
        os.kill(demo.pid, number)
        assert demo.wait(timeout=60) == 130
    finally:
        demo.kill()
        demo.wait()
    wait_until("no process to be left", lambda: not _processes_of(folder))
    assert not folder.exists()
