"""An IPv6 address with a zone is not only allowed: both programs get there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from memleash_exporter.adapters import probes
from memleash_responder.adapters.http import client as http
from memleash_responder.settings import HttpConfig
from memleash_toolkit.addresses import parse_host_and_port, parse_url


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"busy": true}' if self.headers["Host"].startswith("[::1]:") else b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(HTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture
def port() -> Iterator[int]:
    server = _Server(("::1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("zone", ["%1", "%251"])  # loopback is always the first interface
def test_a_url_with_a_zone_is_asked(port: int, zone: str) -> None:
    url = f"http://[::1{zone}]:{port}/status"
    assert probes.http_busy(parse_url(url), "busy", 10)
    answer = http.request(http.session(HttpConfig()), "GET", url, timeout_seconds=10)
    assert answer.json() == {"busy": True}


def test_an_address_with_a_zone_is_connected_to(port: int) -> None:
    assert probes.tcp_ready(parse_host_and_port(f"[::1%1]:{port}"), 10)
