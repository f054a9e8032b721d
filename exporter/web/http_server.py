"""A small HTTP/1.1 server for what an exporter serves: short requests without bodies.

On socketserver rather than http.server, because the latter brings 4 MB of mail parsing and
takes half a millisecond to read a request's headers, as long as all of a scrape. Every limit is
here: size and time of a request's head, connections at once, time on the wire. TLS begins in the
connection's own thread, so that a client that stalls its handshake stalls nobody else.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_MAX_HEAD_BYTES = 16384
_MAX_BODY_BYTES = 65536
_MAX_CONNECTIONS = 64
_IDLE_SECONDS = 120.0
_REQUEST_SECONDS = 10.0
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """A request's head. ``path`` has no query; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, held in memory."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class _BadRequest(Exception):
    """A request that is answered with ``status``, after which the connection is closed."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


Application = Callable[[Request], Response]
Wrap = Callable[[socket.socket], socket.socket]


_Socket = Any  # socketserver types its requests for datagrams as well
_Address = Any


class HttpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves ``application`` on ``host`` and ``port`` (0: any); every interface without a host."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, host: str, port: int, application: Application, wrap: Wrap | None = None
    ) -> None:
        """Listen. Raises OSError when the address cannot be used."""
        self.application = application
        self.wrap = wrap
        self._slots = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        everywhere = not host
        if everywhere:
            host = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
        self.address_family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        self._dual = everywhere and self.address_family == socket.AF_INET6
        super().__init__(address, _Connection)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        """Bind, to IPv4 as well where the address is IPv6's any."""
        if self._dual:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def process_request(self, request: _Socket, client_address: _Address) -> None:
        """Serve a connection in a thread of its own, or drop it when there are too many."""
        if not self._slots.acquire(blocking=False):
            log.warning("too many connections", extra={"limit": _MAX_CONNECTIONS})
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: _Socket, client_address: _Address) -> None:
        """Serve a connection, and free its slot when it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: _Socket, client_address: _Address) -> None:  # noqa: ARG002
        """Log what broke a connection; the server goes on."""
        log.exception("connection broke", extra={"client": client_address})


class _Connection(socketserver.BaseRequestHandler):
    server: HttpServer

    def handle(self) -> None:
        connection: socket.socket = self.request
        connection.settimeout(_REQUEST_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.server.wrap is not None:
                connection = self.server.wrap(connection)
            self._converse(connection)
        except OSError as error:  # they went away, were too slow, or TLS was refused
            log.debug("connection ended", extra={"client": self.client_address, "why": error})
        finally:
            if connection is not self.request:
                with contextlib.suppress(OSError):
                    connection.close()

    def _converse(self, connection: socket.socket) -> None:
        """Answer one request after the other until either side has had enough."""
        received = b""
        keep = True
        while keep:
            try:
                head, received = _head(connection, received)
                if not head:
                    return
                request = _parsed(head)
                received = _without_body(connection, request, received)
                keep = request.headers.get("connection", "").lower() != "close"
                response = self._answer(request)
            except _BadRequest as error:
                request, keep = Request("GET", "", {}), False
                response = Response(error.status, f"{_REASONS[error.status]}\n".encode())
            connection.settimeout(_REQUEST_SECONDS)
            connection.sendall(_rendered(request, response, keep=keep))

    def _answer(self, request: Request) -> Response:
        try:
            return self.server.application(request)
        except Exception:  # a request's boundary: the next one must be served
            log.exception("request broke", extra={"path": request.path})
            return Response(500, b"internal error; see the log\n")


def _head(connection: socket.socket, received: bytes) -> tuple[bytes, bytes]:
    """Return a request's head and what came after it; an empty head when they are done.

    The wait for the first byte may be long (a kept connection); what has begun must end soon.
    """
    if not received:
        connection.settimeout(_IDLE_SECONDS)
        received = connection.recv(_MAX_HEAD_BYTES)
    deadline = time.monotonic() + _REQUEST_SECONDS
    while b"\r\n\r\n" not in received:
        if not received:
            return b"", b""
        if len(received) > _MAX_HEAD_BYTES:
            raise _BadRequest(431)
        chunk = _received_by(connection, deadline)
        if not chunk:
            return b"", b""
        received += chunk
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _received_by(connection: socket.socket, deadline: float) -> bytes:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise _BadRequest(408)
    connection.settimeout(remaining)
    try:
        return connection.recv(_MAX_HEAD_BYTES)
    except TimeoutError as error:
        raise _BadRequest(408) from error


def _parsed(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _BadRequest(400)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise _BadRequest(400)
        headers[name.lower()] = value.strip()
    if words[2] == "HTTP/1.0":
        headers["connection"] = "close"
    return Request(words[0], words[1].partition("?")[0], headers)


def _without_body(connection: socket.socket, request: Request, received: bytes) -> bytes:
    """Read past the request's body (nothing here takes one); return what came after it."""
    if "transfer-encoding" in request.headers:
        raise _BadRequest(501)
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise _BadRequest(400)
    if int(length) > _MAX_BODY_BYTES:
        raise _BadRequest(413)
    deadline = time.monotonic() + _REQUEST_SECONDS
    while len(received) < int(length):
        chunk = _received_by(connection, deadline)
        if not chunk:
            raise _BadRequest(400)
        received += chunk
    return received[int(length) :]


def _rendered(request: Request, response: Response, *, keep: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {_REASONS[response.status]}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        f"Connection: {'keep-alive' if keep else 'close'}",
        "X-Content-Type-Options: nosniff",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    body = b"" if request.method == "HEAD" else response.body
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
