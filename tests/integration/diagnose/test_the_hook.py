"""The hook comes with the agent's environment, and no signal, fork or daemon takes it away."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.stack.leaking_agents import AGENTS, PYTHONS
from demo.stack.processes import wait_until
from memleash_diagnoser import hook
from tests.integration.diagnose.conftest import PACKAGED_HOOK, Agent, Diagnosis, Heart
from tests.integration.diagnose.test_leaks_are_named import diagnosed, first_suspect

pytestmark = pytest.mark.integration

Diagnoses = Callable[..., Diagnosis]
WITH_VENV = [python for python in PYTHONS if not python.endswith("/run")]
"""But for the one that was unpacked, which is started by its own loader and makes no venv."""


@pytest.fixture
def hook_folder(tmp_path: Path) -> Path:
    """The folder that an agent's PYTHONPATH gets, as the documentation has it."""
    folder = tmp_path / "hook"
    shutil.copytree(PACKAGED_HOOK, folder)
    shutil.copyfile(hook.__file__, folder / "memleash_hook.py")
    return folder


@pytest.mark.parametrize("python", WITH_VENV)
def test_a_pth_file_in_its_environment_gives_it_to_an_agent(
    agent: Agent, diagnosis_of: Diagnoses, hook_folder: Path, tmp_path: Path, python: str
) -> None:
    subprocess.run([python, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (packages,) = (tmp_path / "venv").glob("lib/python3.*/site-packages")
    for name in ("memleash_hook.py", "memleash-hook.pth"):
        shutil.copyfile(hook_folder / name, packages / name)

    child = agent("leaks_a_list.py", python=tmp_path / "venv/bin/python", path="")
    report = diagnosed(diagnosis_of(child.pid))

    assert report["way"] == "own hook"
    assert first_suspect(report).startswith("- list `__main__.SESSIONS` grew by ")


def test_a_folder_in_pythonpath_gives_it_and_keeps_the_sitecustomize_that_was_there(
    agent: Agent, diagnosis_of: Diagnoses, hook_folder: Path, tmp_path: Path
) -> None:
    theirs, proof = tmp_path / "theirs", tmp_path / "proof"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text(f"open({str(proof)!r}, 'w').close()\n")

    child = agent("leaks_a_list.py", path=f"{hook_folder}:{theirs}")

    assert diagnosed(diagnosis_of(child.pid))["way"] == "own hook"
    assert proof.exists()


@pytest.mark.alone
@pytest.mark.parametrize("green", ["eventlet", "gevent"])
def test_green_threads_do_not_wait_for_it(
    agent: Agent, diagnosis_of: Diagnoses, heart: Heart, hook_folder: Path, green: str
) -> None:
    child = agent("leaks_under_green_threads.py", green, path=str(hook_folder))

    report = diagnosed(diagnosis_of(child.pid))

    assert report["way"] == "own hook"
    assert report["grown"]["types"][0]["name"] in ("__main__.Job", "builtins.list")
    assert heart.goes_on()


@pytest.fixture
def daemon(hook_folder: Path, tmp_path: Path) -> Iterator[int]:
    """The pid of an agent that forked twice, closed all files and handles every signal."""
    pidfile = tmp_path / "pid"
    subprocess.run(
        [sys.executable, AGENTS / "daemonises.py", pidfile],
        env={**os.environ, "PYTHONPATH": str(hook_folder)},
        check=True,
    )
    pid = wait_until("the daemon", lambda: int(pidfile.read_text() or 0) if pidfile.exists() else 0)
    yield pid
    os.kill(pid, signal.SIGKILL)


def test_an_agent_that_forks_closes_all_files_and_takes_all_signals_still_has_it(
    daemon: int, diagnosis_of: Diagnoses
) -> None:
    report = diagnosed(diagnosis_of(daemon))

    assert report["way"] == "own hook"
    assert first_suspect(report).startswith("- list `__main__.KEPT` grew by ")


def _run(code: str, folder: Path) -> Any:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_fork_has_a_mailbox_of_its_own(hook_folder: Path) -> None:
    code = """
import gc, os
def has_its_own():
    gc.collect()
    links = []
    for fd in range(3, 20):
        try:
            links.append(os.readlink('/proc/self/fd/%d' % fd))
        except OSError:
            continue
    print(links == ['/memfd:memleash-hook:%d (deleted)' % os.getpid()], flush=True)
has_its_own()
if os.fork():
    os.wait()
else:
    has_its_own()
"""

    assert _run(code, hook_folder).stdout == "True\nTrue\n"


def test_after_threads_were_replaced_it_refuses(tmp_path: Path, hook_folder: Path) -> None:
    (hook_folder / "sitecustomize.py").unlink()
    code = (
        "import _thread\n_thread.start_new_thread = lambda *_: 0\n"
        "import memleash_hook\nmemleash_hook.install()"
    )

    assert "before threads are monkey-patched" in _run(code, hook_folder).stderr
