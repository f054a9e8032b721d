"""A responder on a database that is to fail, and a database of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.stack.ports import free_port
from demo.stack.postgres import Postgres, running_postgres
from demo.stack.responder import Responder, lonely, responder
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.migrations import upgrade

Start = Callable[..., Responder]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a responder that is alone in the world, on a database URL."""
    started: list[Responder] = []

    def run(database: str, **changes: Any) -> Responder:
        port = free_port()
        one = responder(tmp_path, port, lonely(tmp_path, database, **changes))
        started.append(one)
        one.program.start()
        return one

    yield run
    for one in started:
        one.program.stop()


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind, fresh and empty."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'responder.db'}"
        return
    with running_postgres() as server:
        yield server.url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """One of each kind, opened, with its tables."""
    opened = Database(database_url)
    upgrade(opened)
    yield opened
    opened.close()
