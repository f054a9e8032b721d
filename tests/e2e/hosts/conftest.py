"""The fleet of real hosts, brought up once for all stories on it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack.tools import REPOSITORY
from tests.e2e.docker import build
from tests.e2e.hosts.three_hosts import Fleet, running_fleet

_DOCKERFILE = REPOSITORY / "tests/e2e/images/host.Dockerfile"


@pytest.fixture(scope="session")
def images(debian: str, sources: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The machines' images, with memleash from the wheel that a release would have."""
    context = tmp_path_factory.mktemp("hosts")
    shutil.copytree(sources / "docker/wheels", context / "wheels")
    for folder in ("demo", "packaging"):
        shutil.copytree(sources / folder, context / folder)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"),
            *("--find-links", context / "wheels", "--wheel-dir", context / "wheels", sources),
        ],
        check=True,
    )
    _as_a_repository(sources, context / "memleash.git")
    targets = ("host", "control", "controlled", "newcomer")
    images = {target: f"memleash-e2e/{target}" for target in targets}
    for target, tag in images.items():
        build(context, _DOCKERFILE, target, tag)
    return images


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


@pytest.fixture(scope="session")
def running(images: dict[str, str]) -> Iterator[Fleet]:
    with running_fleet(images["host"], images["control"]) as fleet:
        yield fleet


@pytest.fixture
def fleet(running: Fleet) -> Fleet:
    """The fleet at rest: all hosts connected, no restart open, no agent over its limit."""
    running.until_alerts_are_over()
    running.until_settled()
    return running
