"""How much of the database is read for an answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from flask import Flask
from sqlalchemy import event

from memleash_responder.web.api.mutes import add_mutes
from memleash_responder.web.api.table import Routes
from memleash_responder.web.metrics import StateCollector
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.world import World


@contextmanager
def queries(world: World) -> Iterator[list[str]]:
    """Yield a list that every SELECT goes into."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            seen.append(" ".join(statement.split()))

    engine = world.services.tables.database.engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_a_scrape_reads_each_table_once(world: World) -> None:
    """Seen: mutes, hosts, maintenance and controllers' words were read three times."""
    with queries(world) as seen:
        list(StateCollector(world.services).collect())
    read = Counter(table for one in seen for table in re.findall(r" FROM memleash_(\w+)", one))
    asked_differently = read.pop("restarts")
    assert asked_differently <= 6
    assert {"hosts", "mutes", "maintenance", "controller_states"} <= read.keys()
    assert set(read.values()) == {1}


def test_a_scrape_does_not_read_the_whole_history(world: World) -> None:
    with queries(world) as seen:
        list(StateCollector(world.services).collect())
    of_restarts = [one for one in seen if " FROM memleash_restarts" in one]
    assert of_restarts
    assert [one for one in of_restarts if " WHERE " not in one] == []


def test_the_mute_of_one_host_is_read_alone(make_world: MakeWorld) -> None:
    """Seen: a pinger that asks about each of 1,000 hosts had the whole fleet read 1,000 times."""
    world, app = make_world(hosts=3), Flask("mutes")
    routes = Routes()
    add_mutes(routes, world.services, cast(Any, None))
    routes.install(app)
    ask: Callable[[str], Any] = app.test_client().get
    with queries(world) as seen:
        assert ask("/api/v1/hosts/node-1/mute").json == {
            "muted": False,
            "until": None,
            "reason": None,
        }
    assert seen
    assert [one for one in seen if ".host = ?" not in one] == []
