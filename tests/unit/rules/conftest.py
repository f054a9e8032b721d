"""The tools that check rules and routes, in both ages: the machine's own and the newest."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NEWEST = ROOT / ".cache" / "tools" / "newest" / "usr" / "bin"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def _tool(name: str, age: str) -> Run:
    path = shutil.which(name) if age == "stable" else shutil.which(name, path=str(NEWEST))
    if path is None and age == "newest":
        pytest.skip(f"not run: no newest {name} here; tools/setup test gets it where it can")
    assert path, f"no {name} here: run tools/setup test"

    def run(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [path, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture(params=["stable", "newest"])
def promtool(request: pytest.FixtureRequest) -> Run:
    """Runs promtool; returns the finished process."""
    return _tool("promtool", request.param)


@pytest.fixture(params=["stable", "newest"])
def amtool(request: pytest.FixtureRequest) -> Run:
    """Runs amtool; returns the finished process."""
    return _tool("amtool", request.param)


@pytest.fixture(scope="session")
def stable_promtool() -> Run:
    """Runs the machine's own promtool, where one age is enough."""
    return _tool("promtool", "stable")
