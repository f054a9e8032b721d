"""A small JSON-over-HTTP server for the demo's programs: a table of routes, nothing more.

A route is a method and a regular expression for the whole path; its named groups go to the
handler along with the request's body. What a handler raises as a Refusal becomes the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

Json = Any
"""What json.loads gives."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request: the route's named groups, and its body (None when it has none)."""

    path: str
    names: Mapping[str, str]
    body: Json


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. ``afterwards`` runs once it has been sent, before the next request."""

    body: Json = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    afterwards: Callable[[], None] | None = None


class Refusal(Exception):
    """The request cannot be served: the caller is told ``status`` and why."""

    def __init__(self, status: int, problem: str) -> None:
        self.status = status
        super().__init__(problem)


Handler = Callable[[Request], Answer]
Routes = Mapping[tuple[str, str], Handler]


def listen(address: str, routes: Routes, server_class: type[HTTPServer]) -> HTTPServer:
    """Return a server bound to ``address`` (``host:port``); serve_forever is the caller's.

    With HTTPServer one thread serves all requests, with ThreadingHTTPServer each has its own.
    """
    host, _, port = address.rpartition(":")

    class RoutedHandler(_Handler):
        table = tuple(
            (method, re.compile(path), handle) for (method, path), handle in routes.items()
        )

    return server_class((host, int(port)), RoutedHandler)


class _Handler(BaseHTTPRequestHandler):
    table: tuple[tuple[str, re.Pattern[str], Handler], ...] = ()
    timeout = 10  # seconds; a client that sends nothing must not hold a single-threaded server

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def _serve(self) -> None:
        try:
            answer = self._route()
        except Refusal as refusal:
            answer = Answer({"error": str(refusal)}, refusal.status)
        self._send(answer)
        if answer.afterwards is not None:
            answer.afterwards()

    def _route(self) -> Answer:
        path = self.path.partition("?")[0]
        body = self._body()
        for method, pattern, handle in self.table:
            match = pattern.fullmatch(path)
            if match and method == self.command:
                return handle(Request(path, match.groupdict(), body))
        raise Refusal(404, f"nothing at {self.command} {path}")

    def _body(self) -> Json:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not text:
            return None
        try:
            return json.loads(text)
        except ValueError as error:
            raise Refusal(400, f"the body is not JSON: {error}") from error

    def _send(self, answer: Answer) -> None:
        payload = json.dumps(answer.body).encode() + b"\n"
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(payload)
            self.wfile.flush()
        except ConnectionError:  # the client gave up waiting, as a ping during a dump does
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: pings every second would drown what matters in the log."""
