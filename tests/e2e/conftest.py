"""End to end, on containers. `make e2e` runs these beside a Docker engine of their own.

Without that engine (tools/engine sets MEMLEASH_E2E) nothing here is collected: what was not run
is told by whoever runs the tests, not by skipped ones.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from demo.stack.tools import REPOSITORY
from tests.e2e.docker import build, docker

if "MEMLEASH_E2E" not in os.environ:
    collect_ignore_glob = ["*"]

CACHE = REPOSITORY / ".cache/e2e"
IMAGES = Path(__file__).parent / "images"


@pytest.fixture(scope="session")
def debian() -> str:
    """The base image: Debian, as tools/setup-e2e bootstrapped it."""
    tag = "memleash-e2e/debian:latest"
    if not docker("images", "-q", tag).strip():
        docker("import", CACHE / "base.tar", tag)
    return tag


@pytest.fixture(scope="session")
def standins(debian: str) -> dict[str, str]:
    """Stand-ins for the public images, by the variable that names each in the compose file."""
    names = ("python", "prometheus", "alertmanager", "blackbox", "postgres")
    for name in names:
        build(IMAGES, IMAGES / "standins.Dockerfile", name, f"memleash-e2e/{name}")
    return {f"{name.upper()}_IMAGE": f"memleash-e2e/{name}" for name in names}


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the project as git has them or would, with its dependencies' wheels.

    What images are built from: nothing comes from an index, and nobody but the owner may read
    them, as in a clone that was made under umask 077.
    """
    folder = tmp_path_factory.mktemp("sources")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    shutil.copytree(CACHE / "wheels", folder / "docker/wheels", dirs_exist_ok=True)
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    return folder


@pytest.fixture(scope="session")
def machines(debian: str, sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the machines' images are built from, with memleash as the wheel that a release has."""
    context = tmp_path_factory.mktemp("machines")
    shutil.copytree(sources / "docker/wheels", context / "wheels")
    for folder in ("demo", "packaging", "tests/e2e/images/nova"):
        shutil.copytree(sources / folder, context / Path(folder).name)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"),
            *("--find-links", context / "wheels", "--wheel-dir", context / "wheels", sources),
        ],
        check=True,
    )
    _as_a_repository(sources, context / "memleash.git")
    return context


@pytest.fixture(scope="session")
def images(machines: Path) -> dict[str, str]:
    """The images of hosts and of those who watch them, by target."""
    targets = ("host", "control", "controlled", "newcomer")
    return {target: built_machine(machines, target) for target in targets}


def built_machine(context: Path, target: str) -> str:
    """Build one kind of machine; return its image."""
    tag = f"memleash-e2e/{target}"
    build(context, IMAGES / "host.Dockerfile", target, tag)
    return tag


def _as_a_repository(files: Path, bare: Path) -> None:
    """Make of ``files`` what a person clones."""
    git = ("git", "-c", "user.name=memleash", "-c", "user.email=memleash@example.org")
    for arguments in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all", "--", ".", ":!docker/wheels"),
        ("commit", "--quiet", "--message=the files"),
        ("clone", "--quiet", "--bare", ".", str(bare)),
    ):
        subprocess.run([*git, *arguments], cwd=files, check=True)
    shutil.rmtree(files / ".git")
