"""An IPv6 address with a zone is not only allowed: both programs get there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.http_server import Reply, Request, as_json, serving
from memleash_exporter.adapters import probes
from memleash_responder.adapters.http import client as http
from memleash_responder.http_settings import HttpConfig
from memleash_toolkit.addresses import parse_host_and_port, parse_url
from tests.support.clean_environment import has_ipv6

pytestmark = pytest.mark.skipif(not has_ipv6(), reason="not run: this machine has no IPv6")


@pytest.fixture
def port() -> Iterator[int]:
    def answer(asked: Request) -> Reply:
        return as_json({"busy": True} if asked.headers["Host"].startswith("[::1]:") else {})

    with serving(answer, "[::1]:0") as served:
        yield served.port


@pytest.mark.parametrize("zone", ["%1", "%251"])  # loopback is always the first interface
def test_a_url_with_a_zone_is_asked(port: int, zone: str) -> None:
    url = f"http://[::1{zone}]:{port}/status"
    assert probes.http_busy(parse_url(url), "busy", 10)
    answer = http.request(http.session(HttpConfig()), "GET", url, timeout_seconds=10)
    assert answer.json() == {"busy": True}


def test_an_address_with_a_zone_is_connected_to(port: int) -> None:
    assert probes.tcp_ready(parse_host_and_port(f"[::1%1]:{port}"), 10)
