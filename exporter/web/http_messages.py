"""HTTP/1.1 as far as an exporter needs it: a request's head read and parsed, an answer written.

Every limit of size and time is here. A body is read past, since nothing here takes one.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_HEAD_BYTES = 16384
MAX_BODY_BYTES = 65536
IDLE_SECONDS = 120.0
REQUEST_SECONDS = 10.0
LINGER_SECONDS = 2.0

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


NO_REQUEST = Request("GET", "", {})
"""Stands for a request that could not be read."""


class BadRequest(Exception):
    """A request that is answered with ``status``, after which the connection is closed."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)

    def response(self) -> Response:
        """Return the answer to it."""
        return Response(self.status, f"{_REASONS[self.status]}\n".encode())


def read_head(connection: socket.socket, received: bytes) -> tuple[bytes, bytes]:
    """Return a request's head and what came after it; an empty head when they are done.

    The wait for the first byte may be long (a kept connection); what has begun must end soon.
    """
    if not received:
        connection.settimeout(IDLE_SECONDS)
        received = connection.recv(MAX_HEAD_BYTES)
    deadline = time.monotonic() + REQUEST_SECONDS
    while b"\r\n\r\n" not in received:
        if not received:
            return b"", b""
        if len(received) > MAX_HEAD_BYTES:
            raise BadRequest(431)
        chunk = _received_by(connection, deadline)
        if not chunk:
            return b"", b""
        received += chunk
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _received_by(connection: socket.socket, deadline: float) -> bytes:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise BadRequest(408)
    connection.settimeout(remaining)
    try:
        return connection.recv(MAX_HEAD_BYTES)
    except TimeoutError as error:
        raise BadRequest(408) from error


def parsed(head: bytes) -> Request:
    """Return the request that ``head`` is. Raises BadRequest."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(400)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(400)
        headers[name.lower()] = value.strip()
    if words[2] == "HTTP/1.0":
        headers["connection"] = "close"
    return Request(words[0], words[1].partition("?")[0], headers)


def read_past_body(connection: socket.socket, request: Request, received: bytes) -> bytes:
    """Read past the request's body (nothing here takes one); return what came after it."""
    if "transfer-encoding" in request.headers:
        raise BadRequest(501)
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadRequest(400)
    if int(length) > MAX_BODY_BYTES:
        raise BadRequest(413)
    deadline = time.monotonic() + REQUEST_SECONDS
    while len(received) < int(length):
        chunk = _received_by(connection, deadline)
        if not chunk:
            raise BadRequest(400)
        received += chunk
    return received[int(length) :]


def linger(connection: socket.socket) -> None:
    """Let the client read our answer: closing on what it still sends would take that back."""
    connection.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + LINGER_SECONDS
    while (remaining := deadline - time.monotonic()) > 0:
        connection.settimeout(remaining)
        if not connection.recv(MAX_BODY_BYTES):
            return


def rendered(request: Request, response: Response, *, keep: bool) -> bytes:
    """Return the bytes of ``response`` to ``request``; ``keep``: the connection stays open."""
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
