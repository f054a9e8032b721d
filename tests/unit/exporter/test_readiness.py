"""When an agent counts as ready: by a probe's last answer, or by its age."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from memleash_exporter.adapters.background import BackgroundProbe
from memleash_exporter.collector import readiness
from memleash_exporter.collector.sample import Life
from memleash_exporter.errors import ProbeFailed

BOOTED_AT = 1000.0  # of the procfs that is written, 500 s ago


def life(fake: Any, *, age_seconds: float) -> Life:
    ticks = int((500 - age_seconds) * 100)
    fake.add(7, start_ticks=ticks)
    return Life(fake.processes().get(7), ticks, BOOTED_AT + ticks / 100)


@pytest.mark.parametrize(("age_seconds", "ready"), [(29.9, False), (30.0, True), (400.0, True)])
def test_a_life_is_ready_from_an_age_on(fake_procfs: Any, age_seconds: float, ready: bool) -> None:
    is_ready = readiness.from_age(30, fake_procfs.processes())
    assert is_ready(life(fake_procfs, age_seconds=age_seconds)) is ready
    assert is_ready(None) is None, "nobody lives"


@pytest.fixture
def probe() -> Iterator[Callable[..., BackgroundProbe]]:
    made: list[BackgroundProbe] = []

    def start(question: Callable[[], bool], clock: Callable[[], float]) -> BackgroundProbe:
        made.append(BackgroundProbe("a", question, interval=60, max_age=90, clock=clock))
        made[0].start()
        assert made[0].wait_answered(60)
        return made[0]

    yield start
    for one in made:
        one.stop()


@pytest.mark.parametrize("word", [True, False])
def test_an_answer_counts_for_the_life_it_was_given_in(
    fake_procfs: Any, probe: Callable[..., BackgroundProbe], word: bool
) -> None:
    is_ready = readiness.from_probe(probe(lambda: word, lambda: 450.0))
    assert is_ready(life(fake_procfs, age_seconds=100)) is word
    assert is_ready(life(fake_procfs, age_seconds=20)) is None, "it was asked before that life"


def test_a_probe_that_fails_is_unknown(
    fake_procfs: Any, probe: Callable[..., BackgroundProbe]
) -> None:
    def fails() -> bool:
        raise ProbeFailed("nobody to ask")

    is_ready = readiness.from_probe(probe(fails, lambda: 450.0))
    assert is_ready(life(fake_procfs, age_seconds=100)) is None
