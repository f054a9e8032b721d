"""Background probes: the last word, about this life, and not for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from memleash_exporter.adapters.background import BackgroundProbe
from memleash_exporter.errors import ProbeFailed


class Clock:
    """Seconds since boot, as the test wants them."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Oracle:
    """A probe whose answers are scripted; it waits for the test before each."""

    def __init__(self) -> None:
        self.next: Callable[[], bool] = lambda: True
        self._go = threading.Semaphore(0)
        self._done = threading.Semaphore(0)

    def __call__(self) -> bool:
        self._go.acquire()
        return self.next()

    def ask(self, probe: BackgroundProbe, answer: Callable[[], bool]) -> None:
        """Let the probe ask once and wait until its answer is kept."""
        before = probe._answer
        self.next = answer
        self._go.release()
        for _ in range(10_000):
            if probe._answer is not before:
                return
            probe._stopped.wait(0.001)
        raise AssertionError("the probe did not ask")

    def release(self) -> None:
        self._go.release(1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture
def probe(clock: Clock, oracle: Oracle) -> Iterator[BackgroundProbe]:
    made = BackgroundProbe("p", oracle, interval=0.001, max_age=15.0, clock=clock)
    made.start()
    yield made
    made.stop()
    oracle.release()
    made._thread.join(60)
    assert not made._thread.is_alive()


def _fail() -> bool:
    raise ProbeFailed("refused")


def _break() -> bool:
    raise KeyError("a bug")


def word(probe: BackgroundProbe, not_before: float = 0.0) -> bool | None:
    answer = probe.latest(not_before=not_before)
    return None if answer is None else answer.word


def test_before_the_first_answer_there_is_no_word(probe: BackgroundProbe) -> None:
    assert word(probe) is None
    assert not probe.wait_answered(0)


def test_the_last_answer_is_the_word(probe: BackgroundProbe, oracle: Oracle) -> None:
    oracle.ask(probe, lambda: True)
    assert word(probe) is True
    assert probe.wait_answered(10)
    oracle.ask(probe, lambda: False)
    assert word(probe) is False


@pytest.mark.parametrize("trouble", [_fail, _break])
def test_a_failure_takes_the_word_back_and_the_probe_goes_on(
    probe: BackgroundProbe, oracle: Oracle, trouble: Callable[[], bool]
) -> None:
    oracle.ask(probe, lambda: True)
    oracle.ask(probe, trouble)
    assert word(probe) is None
    oracle.ask(probe, lambda: False)
    assert word(probe) is False


def test_an_old_word_is_no_word(probe: BackgroundProbe, oracle: Oracle, clock: Clock) -> None:
    clock.now = 100.0  # the first question is under way since 100
    oracle.ask(probe, lambda: True)
    clock.now = 115.0
    assert word(probe) is True
    clock.now = 115.1
    assert word(probe) is None


def test_a_word_about_the_former_life_is_no_word_about_this_one(
    probe: BackgroundProbe, oracle: Oracle
) -> None:
    oracle.ask(probe, lambda: True)
    assert word(probe, not_before=100.0) is True
    assert word(probe, not_before=100.1) is None


def test_the_same_word_again_keeps_its_beginning(probe: BackgroundProbe, oracle: Oracle) -> None:
    oracle.ask(probe, lambda: True)
    first = probe.latest(not_before=0.0)
    oracle.ask(probe, lambda: True)
    second = probe.latest(not_before=0.0)
    assert first is not None
    assert second is not None
    assert first is not second
    assert first.since == second.since


def test_trouble_is_logged_when_it_begins_not_each_time(
    probe: BackgroundProbe, oracle: Oracle, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        oracle.ask(probe, _fail)
    oracle.ask(probe, lambda: True)
    messages = [record.message for record in caplog.records]
    assert messages.count("probe failed") == 1
