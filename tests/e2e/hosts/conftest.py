"""The fleet of real hosts, brought up once for all stories on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.hosts.three_hosts import Fleet, running_fleet


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
