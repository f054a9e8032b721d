"""What is published: complete, nothing stray, and of use where only a part is installed."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from rules.lint import RULES

ROOT = Path(__file__).parents[3]
SHARED = "memleash-0.1.0.data/data/share/memleash/"

pytestmark = pytest.mark.one_python


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the sdist, as a release builds them: the one from the other."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def names_in_wheel(built: Path) -> set[str]:
    (wheel,) = built.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def names_in_sdist(built: Path) -> set[str]:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        return {name.split("/", 1)[1] for name in archive.getnames()}


def tracked(*folders: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--", *folders], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(listed.stdout.splitlines())


def test_the_wheel_has_what_a_host_needs(built: Path) -> None:
    names = names_in_wheel(built)
    shared = {name.removeprefix(SHARED) for name in names if name.startswith(SHARED)}
    assert {f"rules/{file.name}" for file in RULES.glob("*.yml")} <= shared
    units = {Path(file).name for file in tracked("packaging/systemd")}
    assert {f"systemd/{name}" for name in units} <= shared
    assert {"hook/memleash-hook.pth", "hook/memleash-hook.conf", "hook/sitecustomize.py"} <= shared
    dashboards = {f"dashboards/{file.name}" for file in ROOT.glob("grafana/dashboards/*.json")}
    assert dashboards
    assert dashboards <= shared


def test_the_wheel_has_all_of_the_code_and_no_tests(built: Path) -> None:
    names = names_in_wheel(built)
    for package in ("exporter", "responder", "diagnoser", "toolkit"):
        code = {file.split("/", 1)[1] for file in tracked(f"{package}/memleash_{package}")}
        assert code <= names
    tops = {name.split("/", 1)[0] for name in names}
    assert {top for top in tops if top.split("-")[0] not in ("memleash",)} == {
        *("memleash_exporter", "memleash_responder", "memleash_diagnoser", "memleash_toolkit")
    }


def test_the_sdist_has_what_it_is_built_from_and_nothing_stray(built: Path) -> None:
    names = names_in_sdist(built)
    parts = ["exporter", "responder", "diagnoser", "toolkit", "packaging", "rules", "docs"]
    assert tracked(*parts) <= names
    strays = names - tracked() - {"PKG-INFO"}
    assert {
        name for name in strays if not any(one.startswith(f"{name}/") for one in names)
    } == set()
    assert not any(name.startswith(("tests/", "bench/", "tools/")) for name in names)


@pytest.mark.parametrize(
    ("command", "program", "missing"),
    [("responder", "memleash-responder", "sqlalchemy"), ("ctl", "memleashctl", "click")],
)
def test_where_the_exporter_alone_is_installed_a_command_says_what_is_missing(
    command: str, program: str, missing: str
) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"from memleash_responder import commands; commands.{command}()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"{program}: {missing}")
    assert done.stderr.count("\n") == 1
    assert "pip install 'memleash[responder]'" in done.stderr
