"""The agents that leak, each in its own way, and the Pythons of this machine that can run them."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from demo.stack.tools import REPOSITORY

AGENTS = REPOSITORY / "demo/leaking_agents"
PYENV = Path(pwd.getpwuid(os.getuid()).pw_dir, ".pyenv", "versions")
"""HOME is elsewhere in a test run."""
PYTHON_3_14 = REPOSITORY / ".cache/tools/python3.14/run"
"""Debian sid's, unpacked by tools/setup, with a loader and a C library of its own."""
LATER_3_13 = REPOSITORY / ".cache/tools/python3.13/run"
"""Debian trixie's, unpacked in the same way: its layout is not that of 3.13.0."""
EVENTLET = REPOSITORY / ".cache/tools/eventlet"
"""A folder for each version of Python, filled by tools/setup."""
MOST_STALL_SECONDS = 0.2
"""How long an agent may stand still for a diagnosis."""


def _pythons() -> dict[str, str]:
    """Return this interpreter, and one of each other version from 3.8 on that is here."""
    found = {sys.version_info[:2]: sys.executable}
    if PYTHON_3_14.exists():
        found[3, 14] = str(PYTHON_3_14)
    for python in sorted(PYENV.glob("3.*/bin/python")):
        major, minor, *_ = python.parents[1].name.split(".")
        if int(minor) >= 8:
            found.setdefault((int(major), int(minor)), str(python))
    return {f"{major}.{minor}": found[major, minor] for major, minor in sorted(found)}


BY_VERSION = _pythons()
PYTHONS = list(BY_VERSION.values())
EVENTLET_PATHS = {
    python: str(EVENTLET / version)
    for version, python in BY_VERSION.items()
    if python == sys.executable or (EVENTLET / version).exists()
}
"""The PYTHONPATH with eventlet of each Python that has one; this interpreter's is beside it."""
PYTHONS_2 = [str(python) for python in sorted(PYENV.glob("2.7.*/bin/python"))[-1:]]


@contextlib.contextmanager
def heart_file() -> Iterator[Path]:
    """Make the place of $HEART, in memory: on a disk, what others sync holds up a heartbeat."""
    in_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None) as folder:
        yield Path(folder, "heart")


def compiled(folder: Path) -> Path:
    """Return the C program that leaks; with an argument it does not."""
    program = folder / "leaks"
    subprocess.run(["gcc", "-g", "-O1", "-o", program, AGENTS / "leaks.c"], check=True)
    return program
