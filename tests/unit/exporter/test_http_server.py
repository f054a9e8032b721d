"""The HTTP server on a real socket: what it answers, what it refuses, and what it outlives."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator

import pytest

from demo.stack.processes import wait_until
from exporter.web import http_messages, http_server
from exporter.web.http_messages import Request, Response
from exporter.web.http_server import HttpServer
from tests.support.surroundings import has_ipv6


def _application(request: Request) -> Response:
    if request.path == "/break":
        raise RuntimeError("a bug")
    if request.path == "/echo":
        return Response(body=repr(request.headers.get("x-name")).encode())
    return Response(404, b"Not Found\n", headers={"X-Method": request.method})


@pytest.fixture
def server() -> Iterator[HttpServer]:
    made = HttpServer("127.0.0.1", 0, _application)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join(60)


def raw(server: HttpServer, sent: bytes) -> bytes:
    """Send bytes, say that no more come, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_client_of_the_standard_library_is_content(server: HttpServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for _ in range(3):  # over one kept connection
        connection.request("GET", "/echo?query=1", headers={"X-Name": "a b"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"'a b'")
    connection.request("HEAD", "/none")
    answer = connection.getresponse()
    assert (answer.status, answer.read(), answer.headers["Content-Length"]) == (404, b"", "10")
    assert answer.headers["X-Method"] == "HEAD"
    connection.request("POST", "/none", body=b"a body nobody reads")
    assert connection.getresponse().read() == b"Not Found\n"
    connection.request("GET", "/echo")
    assert connection.getresponse().read() == b"None"
    connection.close()


def test_requests_that_come_together_are_answered_in_order(server: HttpServer) -> None:
    one = b"GET /echo HTTP/1.1\r\nX-Name: %d\r\n\r\n"
    answer = raw(server, one % 1 + one % 2)
    assert answer.index(b"'1'") < answer.index(b"'2'")


@pytest.mark.parametrize(
    "head", [b"GET /echo HTTP/1.0\r\n", b"GET /echo HTTP/1.1\r\nConnection: close\r\n"]
)
def test_the_connection_is_closed_for_those_who_want_it(server: HttpServer, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head + b"\r\n")
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    assert status(received) == 200


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / SPDY/3\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: empty\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nfolded: a\r\n b: c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nspace : c\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nshort", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70000 + b"\r\n\r\n", 431),
    ],
)
def test_a_bad_request_is_refused_and_closed(
    server: HttpServer, sent: bytes, expected: int
) -> None:
    answer = raw(server, sent)
    assert status(answer) == expected
    assert b"Connection: close" in answer


def test_a_request_that_does_not_end_is_cut_off(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_messages, "REQUEST_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"GET / HT")
        assert status(connection.recv(65536)) == 408


def test_a_bug_in_one_request_is_a_500_and_the_next_is_served(server: HttpServer) -> None:
    answer = raw(server, b"GET /break HTTP/1.1\r\n\r\nGET /echo HTTP/1.1\r\n\r\n")
    assert status(answer) == 500
    assert b"a bug" not in answer
    assert b"None" in answer


def test_too_many_connections_are_dropped_and_the_rest_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "_MAX_CONNECTIONS", 2)
    server = HttpServer("127.0.0.1", 0, _application)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        idle = []
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            connection.request("GET", "/echo")
            connection.getresponse().read()
            idle.append(connection)
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as third:
            assert third.recv(1) == b""
        for connection in idle:
            connection.close()

        def served() -> bool:
            try:
                return status(raw(server, b"GET /echo HTTP/1.1\r\n\r\n")) == 200
            except (OSError, IndexError):
                return False

        wait_until("a slot to be given back", served)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


def test_without_a_host_both_families_are_served() -> None:
    server = HttpServer("", 0, _application)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        addresses = ["127.0.0.1"] + (["::1"] if has_ipv6() else [])
        for address in addresses:
            connection = http.client.HTTPConnection(address, server.port, timeout=60)
            connection.request("GET", "/echo")
            assert connection.getresponse().status == 200
            connection.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)
