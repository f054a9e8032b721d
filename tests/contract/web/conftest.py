"""Both programs as real processes, in plain and over TLS, to be spoken to byte by byte."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from demo.stack.own_programs import exporter
from demo.stack.responder_with_peers import face, peers

LARGEST = 128 * 1024
"""The responder's, as configured here; a body of 8 MiB is beyond what either program takes."""


@dataclass(frozen=True)
class Listener:
    """A program that listens."""

    port: int
    tls: ssl.SSLContext | None = None

    @contextlib.contextmanager
    def connection(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as plain:
            if self.tls is None:
                yield plain
                return
            with self.tls.wrap_socket(plain, server_hostname="localhost") as encrypted:
                yield encrypted

    def say(self, sent: bytes) -> bytes:
        """Send all of ``sent``, and return all that comes until the program hangs up."""
        with self.connection() as connection:
            connection.sendall(sent)
            received = b""
            while part := connection.recv(65536):
                received += part
            return received


@contextlib.contextmanager
def listening(
    name: str, folder: Path, web_config: Mapping[str, Any] | None = None
) -> Iterator[int]:
    """Run the program called ``name``; give its port."""
    if name == "exporter":
        with exporter(folder, web_config) as port:
            yield port
        return
    webhook = {"max_body_bytes": LARGEST}
    with peers() as world, face(folder, world, web_config=web_config, webhook=webhook) as served:
        yield served.port


@pytest.fixture(scope="module", params=["exporter", "responder"])
def plain(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Listener]:
    with listening(request.param, tmp_path_factory.mktemp(request.param)) as port:
        yield Listener(port)


@pytest.fixture(scope="module", params=["exporter", "responder"])
def encrypted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Listener]:
    folder = tmp_path_factory.mktemp(f"{request.param}-tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    files = {"cert_file": "cert.pem", "key_file": "key.pem"}
    with listening(request.param, folder, {"tls_server_config": files}) as port:
        yield Listener(port, context)
