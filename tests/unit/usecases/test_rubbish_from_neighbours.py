"""Whatever a neighbour says of one host: a word, the host released, and the next restart."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.policy import Guards
from memleash_responder.usecases.explain import explain
from memleash_toolkit.values import Duration
from tests.unit.usecases.conftest import MakeWorld
from tests.unit.usecases.neighbours import (
    BYTES,
    Neighbours,
    damaged,
    exposition,
    expositions,
    limit_of,
)
from tests.unit.usecases.outside import BEGINNING, LARGE, Node
from tests.unit.usecases.world import AGENT, World

pytestmark = pytest.mark.one_python

QUICK = Guards(wait_for_idle=Duration(2), idle_interval=Duration(1))
FEW = settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SCRAPE = exposition(Node("node-1", resident_bytes=LARGE)).encode()
DIGITS = b"9" * 400 + b"\n"
LIMIT_ANSWER = limit_of("node-1", BEGINNING + 1000)
TASKS_ANSWER = {"running": [{"id": "7", "name": "migrate"}], "pending": []}


def dealt_with(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, neighbour: str, bodies: list[bytes]
) -> None:
    """Have a neighbour say each of ``bodies`` about a host of its own, the truth about the last."""
    world = make_world(hosts=len(bodies) + 1, guards=QUICK)
    *odd, good = world.nodes.values()
    neighbours = Neighbours(world, monkeypatch)
    for node, body in zip(odd, bodies, strict=True):
        neighbours.rubbish[neighbour, node.name] = body
    for node in world.nodes.values():
        node.resident_bytes = LARGE
        world.alert(node.name)
    world.run()
    world.clock.advance(world.settings.mute.tail + 1)
    for node in odd:
        check(world, node)
    assert world.outcomes(good.name) == ["restarted"]


def check(world: World, node: Node) -> None:
    """See that a host's request has its word, that what is told is small, and what it was given."""
    (ended,) = world.history(node.name)
    assert ended.outcome in set(Outcome)
    assert len(ended.reason) < 1000
    ended.reason.encode()
    assert len(json.dumps([ended.facts, ended.steps], allow_nan=False)) < 100_000
    assert not world.muted(node.name)
    assert world.state(node.name) != "connecting"
    assert node.drained is (world.state(node.name) == "disconnected")
    json.dumps(explain(world.services, node.name, AGENT).facts, allow_nan=False)


@FEW
@example([SCRAPE + b"other_metric 1 " + DIGITS, SCRAPE + b"other_metric " + DIGITS])
@given(st.lists(BYTES | expositions(SCRAPE), min_size=1, max_size=6))
def test_exporters(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, bodies: list[bytes]
) -> None:
    dealt_with(make_world, monkeypatch, "exporter", bodies)


@FEW
@given(st.lists(BYTES | damaged(LIMIT_ANSWER), min_size=1, max_size=6))
def test_prometheus(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, bodies: list[bytes]
) -> None:
    dealt_with(make_world, monkeypatch, "prometheus", bodies)


@FEW
@given(st.lists(BYTES | damaged(TASKS_ANSWER), min_size=1, max_size=6))
def test_controllers(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, bodies: list[bytes]
) -> None:
    dealt_with(make_world, monkeypatch, "controller", bodies)
