"""A small real HTTP server: what it answers is the test's, what it was asked is kept."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator

from demo.http_server import Raw, Reply, Served, as_json, serving
from demo.http_server import Request as Asked

__all__ = ["Asked", "Peer", "Raw", "Reply", "as_json"]


class Peer:
    """The running server."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Reply | Raw] = lambda _: Reply()
        self._served: Served

    @property
    def port(self) -> int:
        return self._served.port

    @property
    def url(self) -> str:
        return self._served.url

    def paths(self) -> list[str]:
        return [f"{one.method} {one.path}" for one in self.asked]

    def use_tls(self, context: ssl.SSLContext) -> None:
        self._served.use_tls(context)

    @contextlib.contextmanager
    def running(self) -> Iterator[Peer]:
        def answer(asked: Asked) -> Reply | Raw:
            self.asked.append(asked)
            return self.answer(asked)

        with serving(answer) as self._served:
            yield self
