"""Whatever a run inherits, its tests and their programs get the same surroundings."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.clean_environment import OPEN_FILES, SET, environment

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parents[3]
PROBE = "test_a_program_begins_with_the_same_surroundings"

HOSTILE = r"""
trap '' HUP INT QUIT TERM USR1 CHLD
umask 077
ulimit -S -n 256
exec "$@"
"""

REPORT = """
import json, os, resource, signal, time
print(json.dumps({
    "environment": sorted(os.environ),
    "ignored": [n for n in signal.valid_signals() if signal.getsignal(n) == signal.SIG_IGN],
    "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "umask": os.umask(0),
    "open files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    "zone": time.tzname[0],
}))
"""


def test_a_program_begins_with_the_same_surroundings() -> None:
    done = subprocess.run([sys.executable, "-c", REPORT], check=True, capture_output=True)
    report = json.loads(done.stdout)
    strangers = {"http_proxy", "SSH_AUTH_SOCK", "PGHOST", "GIT_DIR", "PYTHONWARNINGS", "LC_ALL"}
    assert not strangers & set(report["environment"])
    # Python ignores two in each of its own processes.
    assert set(report["ignored"]) <= {13, 25}
    assert report["blocked"] == []
    assert report["umask"] == 0o022
    assert report["open files"] >= min(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert report["zone"] == "UTC"


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_run_in_hostile_surroundings_gives_them_too(workers: str, tmp_path: Path) -> None:
    (tmp_path / "a blank").mkdir()
    hostile = {
        "http_proxy": "http://127.0.0.1:1",
        "SSH_AUTH_SOCK": "/nonexistent",
        "PGHOST": "x",
        "GIT_DIR": "/nonexistent",
        "PYTHONWARNINGS": "ignore",
        "LC_ALL": "C",
        "TZ": "Asia/Aden",
        "TMPDIR": str(tmp_path / "a blank"),
        "PATH": "/usr/bin",
    }
    run = (sys.executable, "-m", "pytest", "-q", "-n", workers, "-p", "no:cacheprovider")
    done = subprocess.run(
        ["sh", "-c", HOSTILE, "sh", *run, f"{__file__}::{PROBE}"],
        cwd=ROOT,
        env=hostile,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_only_what_tests_are_asked_by_is_kept() -> None:
    kept = environment({"PATH": "/opt/bin", "PYTEST_X": "1", "MEMLEASH_TOKEN": "t", "USER": "u"})
    assert kept == {"PYTEST_X": "1", "PATH": kept["PATH"], **SET}
    assert kept["PATH"].split(os.pathsep)[1] == "/opt/bin"
    assert "/usr/sbin" in kept["PATH"].split(os.pathsep)


@pytest.mark.parametrize(
    ("folder", "kept"),
    [("/var/tmp/me", True), ("/tmp/a blank", False), ("here", False), ("/" + "x" * 60, False)],
)
def test_files_go_to_a_folder_that_needs_no_quotes_and_is_short(folder: str, kept: bool) -> None:
    assert ("TMPDIR" in environment({"TMPDIR": folder})) == kept
