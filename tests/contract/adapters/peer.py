"""A small real HTTP server: what it answers is the test's, what it was asked is kept."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclasses.dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclasses.dataclass(frozen=True)
class Reply:
    """An ordinary answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def write(self, handler: BaseHTTPRequestHandler, closing: threading.Event) -> None:
        handler.send_response(self.status)
        for name, value in {"Content-Length": str(len(self.body)), **self.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(self.body)


@dataclasses.dataclass(frozen=True)
class Raw:
    """Bytes as they are, one by one where ``every_seconds`` is given; then the connection ends."""

    data: bytes = b""
    every_seconds: float = 0
    hang: bool = False

    def write(self, handler: BaseHTTPRequestHandler, closing: threading.Event) -> None:
        if not self.every_seconds:
            handler.wfile.write(self.data)
        else:
            for byte in self.data:
                handler.wfile.write(bytes([byte]))
                if closing.wait(self.every_seconds):
                    return
        if self.hang:
            handler.wfile.flush()
            closing.wait(60)


def as_json(value: object, status: int = 200, **headers: str) -> Reply:
    return Reply(
        status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers}
    )


class Peer:
    """The running server."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Reply | Raw] = lambda _: Reply()
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_port
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        return [f"{one.method} {one.path}" for one in self.asked]

    def use_tls(self, context: ssl.SSLContext) -> None:
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "https"

    def _handler(peer) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has its own self
        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = Asked(self.command, self.path, dict(self.headers), body)
                peer.asked.append(asked)
                with contextlib.suppress(OSError):  # the client left first: some tests are about it
                    peer.answer(asked).write(self, peer.closing)
                self.close_connection = True

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    @contextlib.contextmanager
    def running(self) -> Iterator[Peer]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()
