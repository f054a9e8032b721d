"""A test run that is killed leaves none of its programs behind, not even agents and databases."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from demo.stack.processes import ENDING_WITH_US, wait_until
from demo.stack.tools import REPOSITORY

pytestmark = pytest.mark.integration

RUN = """
import pathlib, signal, sys
from demo.stack import loopback_hosts, postgres
folder = pathlib.Path(sys.argv[1])
with (
    postgres.running_postgres() as database,
    loopback_hosts.running(folder, [loopback_hosts.Member("a")]) as running,
    running.responder("only") as responder,
):
    running.start_agent("a")
    running.serve("a", "restart")
    responder.start()
    agent = int((running.service("a") / "agent.pid").read_text())
    programs = [database.program, running.sshd.program, *running.exporters]
    pids = [agent, responder.pid, *(program.pid for program in programs)]
    (folder / "new").write_text(" ".join(map(str, pids)))
    (folder / "new").rename(folder / "pids")
    signal.pause()
"""


def test_nothing_that_it_started_stays_behind(tmp_path: Path) -> None:
    run = subprocess.Popen([*ENDING_WITH_US, sys.executable, "-c", RUN, tmp_path], cwd=REPOSITORY)
    try:
        wait_until("all to be up", (tmp_path / "pids").exists)
    finally:
        run.kill()
        run.wait()
    started = (tmp_path / "pids").read_text(encoding="ascii").split()
    wait_until("all to be gone", lambda: not alive(started), seen=lambda: alive(started))


def alive(pids: list[str]) -> list[str]:
    """Return the state of each process that is there; a zombie is only not yet waited for."""
    states = []
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            name, _, rest = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")
            if not rest.startswith(" Z"):
                states.append(f"{name}) {rest[:2]}")
    return states
