"""The server against clients that are slow, stall, or say two things at once."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from flask import Flask, request

from responder.web import connection as patience
from responder.web import server as limits
from responder.web.server import Server
from toolkit.web_config import WebConfig

SECONDS = 1.0
"""What a client may take, here."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "CLIENT_SECONDS", SECONDS)
    monkeypatch.setattr(patience, "HANDSHAKE_SECONDS", SECONDS)
    monkeypatch.setattr(limits, "THREADS", 2)
    monkeypatch.setattr(limits, "CONNECTIONS", 8)


def app() -> Flask:
    made = Flask("patient")
    made.config["MAX_CONTENT_LENGTH"] = 1024

    @made.post("/echo")
    def echo() -> bytes:
        return request.get_data()

    @made.post("/unread")
    def unread() -> str:
        return "unread"

    return made


@contextlib.contextmanager
def running(web_config: WebConfig | None = None) -> Iterator[tuple[str, int]]:
    server = Server(app(), ("127.0.0.1", 0), web_config or WebConfig(None))
    server.bind()
    server.serve()
    host, _, port = server.address.rpartition(":")
    try:
        yield host, int(port)
    finally:
        server.stop()


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with running() as at:
        yield at


def exchange(connection: socket.socket, body: bytes = b"hello") -> bytes:
    """Send one request and return the answer, up to its body, which is the request's."""
    connection.sendall(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    said = b""
    while not said.endswith(body):
        part = connection.recv(65536)
        if not part:
            break
        said += part
    return said


def test_a_client_that_drips_is_cut_off_however_it_drips(address: tuple[str, int]) -> None:
    began = time.monotonic()
    with socket.create_connection(address, timeout=60) as dripping, contextlib.suppress(OSError):
        for byte in b"POST /echo HTTP/1.1\r\nX: " + b"x" * 10_000:
            dripping.sendall(bytes([byte]))
            dripping.settimeout(0.1)
            with contextlib.suppress(TimeoutError):
                if dripping.recv(1000):
                    break

    assert time.monotonic() - began < 60 * SECONDS, "it drips for a quarter of an hour"


def test_idle_connections_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "CLIENT_SECONDS", 60.0)  # so long each would hold a worker
    with running() as address, contextlib.ExitStack() as idle:
        for _ in range(6):  # three times the workers
            idle.enter_context(socket.create_connection(address, timeout=60))
        with socket.create_connection(address, timeout=60) as busy:
            assert b"hello" in exchange(busy)


def test_one_connection_too_many_is_closed(address: tuple[str, int]) -> None:
    with contextlib.ExitStack() as idle:
        for _ in range(8):
            idle.enter_context(socket.create_connection(address, timeout=60))
        with socket.create_connection(address, timeout=60) as extra:
            assert extra.recv(1) == b""


def test_a_connection_is_kept_for_the_next_request(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=60) as connection:
        assert b"one" in exchange(connection, b"one")
        assert b"two" in exchange(connection, b"two")


def test_an_unread_body_ends_the_connection_instead_of_being_swallowed(
    address: tuple[str, int],
) -> None:
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")
        said = connection.recv(65536)

    assert said.startswith(b"HTTP/1.1 200")
    assert b"Connection: close" in said


def test_a_second_request_is_not_smuggled_behind_unread_chunks(
    address: tuple[str, int],
) -> None:
    hidden = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nhidden"
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(
            b"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)
        )
        said = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65536):
                said += part

    assert said.count(b"HTTP/1.1") == 1
    assert b"hidden" not in said


@pytest.mark.parametrize(
    "request_line", [b"nonsense", b"GET / HTTP/9.9", b"GET", b"GET http://[ HTTP/1.1"]
)
def test_nonsense_is_a_problem(address: tuple[str, int], request_line: bytes) -> None:
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(request_line + b"\r\n\r\n")
        said = connection.recv(65536)

    assert said.split(b" ")[1][:1] in (b"4", b"5")
    assert b"application/problem+json" in said


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[tuple[str, int], ssl.SSLContext]]:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    file = tmp_path / "web.yml"
    file.write_text("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with running(WebConfig(file)) as at:
        yield at, context


def test_tls_is_spoken_and_a_connection_is_kept(
    encrypted: tuple[tuple[str, int], ssl.SSLContext],
) -> None:
    at, context = encrypted
    with (
        socket.create_connection(at, timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        assert b"one" in exchange(connection, b"one")
        assert b"two" in exchange(connection, b"two")


def test_a_handshake_that_stalls_holds_up_nobody_else(
    encrypted: tuple[tuple[str, int], ssl.SSLContext],
) -> None:
    at, context = encrypted
    with socket.create_connection(at, timeout=60) as stalled:
        stalled.sendall(b"\x16\x03\x01")  # the first bytes of a ClientHello, and no more
        with (
            socket.create_connection(at, timeout=60) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            assert b"hello" in exchange(connection)
        stalled.settimeout(10)
        assert stalled.recv(100) == b""
