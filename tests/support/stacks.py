"""The loopback stack as pytest fixtures: import them into a conftest.py.

    from tests.support.stacks import pace, stack, tools

A test that takes ``stack`` runs once with Debian's stable Prometheus and Alertmanager and once
with the newest; where the newest could not be had, that run is reported as skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack.layout import Pace
from demo.stack.stack import Stack, prepared
from demo.stack.tools import ToolMissing, Tools, find


def find_or_skip(choice: str) -> Tools:
    """Return the ``stable`` or ``newest`` tools; skips the test where the newest are not here."""
    try:
        return find(choice)
    except ToolMissing as missing:
        if choice == "newest":
            pytest.skip(f"not run: {missing}")
        raise


ONE_AGE = pytest.mark.parametrize("age", ["stable"], indirect=True, scope="session")
"""For what the responder does by itself. What it rests on, the silence that is made, renewed and
ended, the tests of Alertmanager's API and of a mute's life show with either age."""


@pytest.fixture(params=["stable", "newest"])
def tools(request: pytest.FixtureRequest) -> Tools:
    """Prometheus and Alertmanager of one age."""
    return find_or_skip(request.param)


@pytest.fixture
def pace() -> Pace:
    """The stack's limits and times; a test module may have others."""
    return Pace()


@pytest.fixture
def stack(tools: Tools, tmp_path: Path, pace: Pace) -> Iterator[Stack]:
    """A whole stack that is up, with logs and configuration in ``tmp_path``."""
    with prepared(tools, tmp_path / "stack", pace) as prepared_stack:
        prepared_stack.start()
        yield prepared_stack
