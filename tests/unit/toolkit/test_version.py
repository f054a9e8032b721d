"""The version is written twice, because reading it from package metadata costs memory."""

from __future__ import annotations

import tomllib
from pathlib import Path

from memleash_toolkit import VERSION


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION
