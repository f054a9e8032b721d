"""The OpenStack that the tests of the kind nova share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import built_machine
from tests.e2e.controllers.openstack import OpenStack, running


@pytest.fixture(scope="session")
def running_openstack(machines: Path) -> Iterator[OpenStack]:
    with running(built_machine(machines, "openstack-host")) as openstack:
        yield openstack


@pytest.fixture(scope="session")
def control_image(machines: Path) -> str:
    return built_machine(machines, "control")


@pytest.fixture
def openstack(running_openstack: OpenStack) -> OpenStack:
    """Nova at rest: no servers, and the host is enabled and up."""
    running_openstack.tidy()
    return running_openstack
