from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.adapters import ports
from tests.integration.adapters import neighbours
from tests.integration.adapters.neighbours import Sshd


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    """What the test's neighbours end with."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def start_sshd(stack: contextlib.ExitStack, tmp_path: Path) -> Callable[..., Sshd]:
    """Start any number of sshd: (options, host_key_type) -> Sshd."""
    return functools.partial(neighbours.start_sshd, stack, tmp_path)


@pytest.fixture
def sshd(start_sshd: Callable[..., Sshd]) -> Sshd:
    return start_sshd()


@pytest.fixture(params=["stable", "newest"])
def age(request: pytest.FixtureRequest) -> str:
    """Which Prometheus and Alertmanager: the distribution's, and the newest."""
    return str(request.param)


refusing_port = ports.refusing_port
silent_port = ports.silent_port
