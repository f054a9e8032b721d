from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.contract.adapters import ports
from tests.contract.adapters.peer import Peer


@pytest.fixture
def start_peer() -> Iterator[Callable[[], Peer]]:
    """Start any number of peers."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(Peer().running())


@pytest.fixture
def peer(start_peer: Callable[[], Peer]) -> Peer:
    return start_peer()


refusing_port = ports.refusing_port
silent_port = ports.silent_port
