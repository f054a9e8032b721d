"""A small HTTP/1.1 server for what an exporter serves: short requests without bodies.

On socketserver rather than http.server, because the latter brings 4 MB of mail parsing, or 10
with the TLS it imports, and takes 0.32 ms of CPU for a scrape's request where this takes 0.03.
The number of connections is limited here, size and time of messages in http_messages. TLS
begins in the connection's own thread: a client that stalls its handshake stalls nobody else.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Any

from exporter.web import http_messages
from exporter.web.http_messages import (
    NO_REQUEST,
    REQUEST_SECONDS,
    BadRequest,
    Request,
    Response,
)

_MAX_CONNECTIONS = 64

log = logging.getLogger(__name__)

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
        connection.settimeout(REQUEST_SECONDS)
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
                head, received = http_messages.read_head(connection, received)
                if not head:
                    return
                request = http_messages.parsed(head)
                received = http_messages.read_past_body(connection, request, received)
            except BadRequest as error:
                self._send(connection, NO_REQUEST, error.response(), keep=False)
                http_messages.linger(connection)
                return
            keep = request.headers.get("connection", "").lower() != "close"
            self._send(connection, request, self._answer(request), keep=keep)

    def _send(
        self, connection: socket.socket, request: Request, response: Response, *, keep: bool
    ) -> None:
        connection.settimeout(REQUEST_SECONDS)
        connection.sendall(http_messages.rendered(request, response, keep=keep))

    def _answer(self, request: Request) -> Response:
        try:
            return self.server.application(request)
        except Exception:  # a request's boundary: the next one must be served
            log.exception("request broke", extra={"path": request.path})
            return Response(500, b"internal error; see the log\n")
