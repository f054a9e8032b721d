"""A small JSON-over-HTTP server for the demo's programs: a table of routes, nothing more.

A route is a method and a regular expression for the whole path; its named groups go to the
handler along with the request's body. What a handler raises as a Refusal becomes the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import HTTPServer
from typing import Any

from demo import http_server

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
    return http_server.listen(address, answering(routes), server_class)


def answering(routes: Routes) -> http_server.Answer:
    """Return what answers by a table of routes."""
    table = tuple((method, re.compile(path), handle) for (method, path), handle in routes.items())

    def handled(asked: http_server.Request) -> Answer:
        body = _decoded(asked.body)
        for method, pattern, handle in table:
            match = pattern.fullmatch(asked.route)
            if match and method == asked.method:
                return handle(Request(asked.route, match.groupdict(), body))
        raise Refusal(404, f"nothing at {asked.method} {asked.route}")

    def answer(asked: http_server.Request) -> http_server.Reply:
        try:
            said = handled(asked)
        except Refusal as refusal:
            said = Answer({"error": str(refusal)}, refusal.status)
        headers = {"Content-Type": "application/json", **said.headers}
        payload = json.dumps(said.body).encode() + b"\n"
        return http_server.Reply(said.status, payload, headers, said.afterwards)

    return answer


def _decoded(body: bytes) -> Json:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError as error:
        raise Refusal(400, f"the body is not JSON: {error}") from error
