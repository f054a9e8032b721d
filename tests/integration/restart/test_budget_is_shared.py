"""The last of a budget is taken by one, however many replicas reach for it at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from responder.adapters.clock import Clock
from responder.adapters.database.engine import Database
from responder.adapters.database.requests import Requests, Restart, SentCommand
from responder.core.guards import Refusal
from responder.core.outcomes import Outcome
from tests.support.postgres import running_postgres

pytestmark = pytest.mark.integration

AT_ONCE, BUDGET = 8, 3


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'responder.db'}"
        return
    with running_postgres() as server:
        yield server.url


def test_no_more_commands_are_noted_as_sent_than_the_budget_has_left(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(AT_ONCE)]
    databases[0].create_tables()
    clock, together = Clock(), threading.Barrier(AT_ONCE)

    def refuse(sent: Sequence[SentCommand]) -> Refusal | None:
        return Refusal(Outcome.RESTART_BUDGET, "used up") if len(sent) >= BUDGET else None

    def replica(number: int) -> Refusal | None:
        requests = Requests(databases[number])
        name = f"restart-{number}"
        requests.open(Restart(name, f"host-{number}", "a", clock.now(), "test", False, "restart"))
        together.wait(30)
        return requests.send(name, clock.stamp(), refuse)

    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            refusals = list(pool.map(replica, range(AT_ONCE)))
        assert refusals.count(None) == BUDGET
        assert len(Requests(databases[0]).commands_sent(newest=100)) == BUDGET
    finally:
        for database in databases:
            database.close()
