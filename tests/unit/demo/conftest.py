"""The demo's servers on port 0, each answering in a thread for the length of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from demo.http_server import serving
from demo.json_server import Routes, answering

Serve = Callable[[Routes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as running:
        yield lambda routes: running.enter_context(serving(answering(routes))).url
