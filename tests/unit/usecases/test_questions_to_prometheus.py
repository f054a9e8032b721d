"""What pages ask of Prometheus: each question once at a time, and only so many that wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from memleash_responder.usecases import readings
from memleash_responder.usecases.readings import FRESH_SECONDS, MOST_QUESTIONS, FleetReader
from tests.unit.usecases.outside import FakePrometheus
from tests.unit.usecases.world import AGENT, World


class Stuck(Executor):
    """A worker that begins nothing, as while Prometheus takes its time with the work before."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], Any]] = []

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.waiting.append(lambda: work(*args, **kwargs))
        return Future()


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Stuck:
    monkeypatch.setattr(readings, "PATIENCE_SECONDS", 0.0)
    return Stuck()


def test_a_question_that_is_asked_again_meanwhile_waits_once(world: World, stuck: Stuck) -> None:
    reader = FleetReader(world.services, stuck)
    for _ in range(3):
        assert reader.loads().problem == "Prometheus was not asked yet"
        assert reader.snapshot(["node-1"]).problem == "Prometheus was not asked yet"
    assert len(stuck.waiting) == 2


def test_no_more_than_some_questions_wait_for_a_slow_prometheus(world: World, stuck: Stuck) -> None:
    reader = FleetReader(world.services, stuck)
    for number in range(MOST_QUESTIONS):
        reader.snapshot([f"node-{number}"])
    assert reader.snapshot(["another"]).problem == "Prometheus takes long to answer"
    assert len(stuck.waiting) == MOST_QUESTIONS
    for work in stuck.waiting:
        work()
    reader.snapshot(["another"])
    assert len(stuck.waiting) == MOST_QUESTIONS + 1


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    monkeypatch.setattr(readings, "PATIENCE_SECONDS", 60.0)
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_an_answer_is_asked_for_again_once_it_is_old(
    world: World, worker: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    loads = {("node-1", AGENT): 0.5}

    def by_agent(_: FakePrometheus, expression: str) -> dict[tuple[str, str], float]:
        asked.append(expression)
        return dict(loads)

    monkeypatch.setattr(FakePrometheus, "by_agent", by_agent)
    reader = FleetReader(world.services, worker)
    for _ in range(2):
        assert reader.loads().value == {("node-1", AGENT): 0.5}
    assert len(asked) == 1
    loads["node-1", AGENT] = 2.0
    world.clock.advance(FRESH_SECONDS)
    assert reader.loads().value == {("node-1", AGENT): 2.0}
    assert len(asked) == 2
    world.clock.advance(-60)  # the clock was set back
    reader.loads()
    assert len(asked) == 3


def test_the_order_is_by_load_and_leaves_out_what_is_no_load(
    world: World, worker: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = {("c", AGENT): 0.5, ("b", AGENT): 1.5, ("a", AGENT): 0.5, ("d", AGENT): -1.0}
    monkeypatch.setattr(FakePrometheus, "by_agent", lambda *_: dict(loads))
    found = FleetReader(world.services, worker).loads().value
    assert [host for host, _ in found] == ["b", "a", "c"]
