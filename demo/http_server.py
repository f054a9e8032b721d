"""The one small HTTP server of demo, tests and benchmarks: what it answers is a function's.

    with serving(lambda request: as_json({"asked": request.path})) as served:
        ...  # at served.url

It needs the standard library alone. Which paths there are is the function's to know; for programs
with a table of routes see json_server.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; ``path`` is the path with its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def route(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    @property
    def query(self) -> str:
        return self.path.partition("?")[2]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """An ordinary answer. ``afterwards`` runs once it has been sent, before the next request."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    afterwards: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes as they are, one by one where ``every_seconds`` is given; then the connection ends.

    With ``hang`` it ends only when the server does, or after a minute.
    """

    data: bytes = b""
    every_seconds: float = 0
    hang: bool = False


Answer = Callable[[Request], Reply | Raw]


def as_json(value: object, status: int = 200, **headers: str) -> Reply:
    """Return an answer in JSON."""
    body = json.dumps(value).encode()
    return Reply(status, body, {"Content-Type": "application/json", **headers})


def listen(
    address: str,
    answer: Answer,
    server_class: type[HTTPServer] = ThreadingHTTPServer,
    *,
    keeps_connections: bool = False,
    ending: threading.Event | None = None,
) -> HTTPServer:
    """Return a server bound to ``address`` (``host:port``); serve_forever is the caller's.

    With HTTPServer one thread serves all requests, with ThreadingHTTPServer each connection has
    its own. A connection ends with its first answer, unless the server ``keeps_connections``.
    What hangs ends with ``ending``.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    told = {
        "ask": staticmethod(answer),
        "ending": ending or threading.Event(),
        "protocol_version": "HTTP/1.1" if keeps_connections else "HTTP/1.0",
        "timeout": None if keeps_connections else _Handler.timeout,
    }
    family = {
        "address_family": socket.AF_INET6 if ":" in host else socket.AF_INET,
        "request_queue_size": 128,  # connections that wait while a dump holds the only thread
        "daemon_threads": True,  # whoever keeps a connection open does not hold up the end
    }
    server: HTTPServer = type("Server", (server_class,), family)(
        (host, int(port)), type("Handler", (_Handler,), told)
    )
    return server


@dataclass(slots=True)
class Served:
    """A server that runs."""

    server: HTTPServer
    scheme: str = "http"

    @property
    def port(self) -> int:
        return self.server.server_port

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.address}"

    def use_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS with whoever connects from now on."""
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "https"


@contextlib.contextmanager
def serving(
    answer: Answer, address: str = "127.0.0.1:0", *, keeps_connections: bool = False
) -> Iterator[Served]:
    """Serve on a port of loopback, a free one if not told otherwise, until the block ends."""
    ending = threading.Event()
    server = listen(address, answer, keeps_connections=keeps_connections, ending=ending)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Served(server)
    finally:
        ending.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    timeout: ClassVar[float | None] = 10
    """Seconds; a client that sends nothing must not hold a single-threaded server."""
    ask: Answer
    ending: threading.Event

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply = self.ask(Request(self.command, self.path, dict(self.headers), body))
        with contextlib.suppress(OSError):  # who asked has given up, as a ping during a dump does
            self._send(reply) if isinstance(reply, Reply) else self._drip(reply)
        if isinstance(reply, Raw):
            self.close_connection = True
        elif reply.afterwards is not None:
            reply.afterwards()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)
        self.wfile.flush()

    def _drip(self, reply: Raw) -> None:
        if not reply.every_seconds:
            self.wfile.write(reply.data)
        for byte in reply.data if reply.every_seconds else b"":
            self.wfile.write(bytes([byte]))
            if self.ending.wait(reply.every_seconds):
                return
        if reply.hang:
            self.wfile.flush()
            self.ending.wait(60)

    def handle(self) -> None:
        """Serve a connection; one that its client cuts is no error."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: pings every second would drown what matters in the log."""
