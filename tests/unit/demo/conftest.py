"""The demo's servers on port 0, each answering in a thread for the length of a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import ThreadingHTTPServer

import pytest

from demo.json_server import Routes, listen

Serve = Callable[[Routes], str]


@contextmanager
def _serving(routes: Routes) -> Iterator[str]:
    server = listen("127.0.0.1:0", routes, ThreadingHTTPServer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as running:
        yield lambda routes: running.enter_context(_serving(routes))
