"""The list that ``make test`` ends with, from reports that pytest wrote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LISTER = Path(__file__).parents[3] / "tools/failed_tests.py"

FAILING = """
import pytest

def test_passes():
    pass

@pytest.mark.parametrize("word", ["a/b.c"])
def test_fails(word):
    raise ValueError("the disk is full; make room\\nand so on")

class TestInAClass:
    def test_compares(self):
        assert 1 == 2

@pytest.fixture
def server():
    raise FileNotFoundError("sshd is not here; run make setup")

def test_without_its_fixture(server):
    pass
"""

LISTED = """\
FAILED: .venv-3.12/bin/python -m pytest 'suite/test_some.py::test_fails[a/b.c]'
        ValueError: the disk is full; make room
FAILED: .venv-3.12/bin/python -m pytest 'suite/test_some.py::TestInAClass::test_compares'
        assert 1 == 2
FAILED: .venv-3.12/bin/python -m pytest 'suite/test_some.py::test_without_its_fixture'
        failed on setup with "FileNotFoundError: sshd is not here; run make setup"
FAILED: .venv-3.12/bin/python -m pytest 'suite/test_typo.py'
        ModuleNotFoundError: No module named 'no_such_module'
"""


def test_each_failed_test_is_named_with_what_runs_it_alone_and_what_it_says(tmp_path: Path) -> None:
    suite, report = tmp_path / "suite", tmp_path / ".venv-3.12.xml"
    suite.mkdir()
    (suite / "test_some.py").write_text(FAILING)
    (suite / "test_typo.py").write_text("import no_such_module\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    run = (sys.executable, "-m", "pytest", "--continue-on-collection-errors", "-q", "suite")
    asked = (f"--junit-xml={report}", "-o", "junit_family=xunit1", "-p", "no:cacheprovider")
    subprocess.run([*run, *asked], cwd=tmp_path, capture_output=True, check=False)
    listed = subprocess.run(
        [sys.executable, LISTER, report], capture_output=True, text=True, check=True
    )
    assert sorted(listed.stdout.splitlines()) == sorted(LISTED.splitlines())


def test_a_run_that_left_no_report_is_no_error(tmp_path: Path) -> None:
    subprocess.run([sys.executable, LISTER, tmp_path / ".venv.xml"], check=True)
