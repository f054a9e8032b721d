"""Work steps back for those who wait for an answer, but not for ever."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from memleash_responder.usecases.courtesy import Courtesy


def test_work_goes_on_when_the_last_answer_is_made() -> None:
    courtesy, stepped_back, order = Courtesy(), threading.Event(), list[str]()

    def work() -> None:
        stepped_back.set()
        courtesy.step_back(at_most_seconds=60)
        order.append("work")

    with ThreadPoolExecutor(1) as pool, courtesy.answering(), courtesy.answering():
        pool.submit(work)
        assert stepped_back.wait(60)
        order.append("answers")
    assert order == ["answers", "work"]


def test_answers_without_end_do_not_stop_the_work() -> None:
    courtesy = Courtesy()
    with courtesy.answering():
        courtesy.step_back(at_most_seconds=0.01)


def test_an_answer_that_fails_is_made_too() -> None:
    courtesy = Courtesy()
    with pytest.raises(ValueError, match="no"), courtesy.answering():
        raise ValueError("no")
    courtesy.step_back(at_most_seconds=threading.TIMEOUT_MAX)
