"""One site for each age of Alertmanager serves the tests of this folder; hosts are a test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.mutes import site as sites
from tests.integration.mutes.site import Site
from tests.support.stacks import find_or_skip


@pytest.fixture(scope="session", params=["stable", "newest"])
def age(request: pytest.FixtureRequest) -> str:
    """Which Prometheus and Alertmanager: the distribution's, and the newest."""
    find_or_skip(request.param)
    return str(request.param)


@pytest.fixture(scope="session")
def shared_site(age: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.running(tmp_path_factory.mktemp(f"site-{age}"), age) as running:
        yield running


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    """The shared site, with the unhurried settings and no host."""
    shared_site.use(sites.UNHURRIED)
    yield shared_site
    shared_site.proxy.hangs = False
    shared_site.proxy.spoilt.clear()
    shared_site.clear()
