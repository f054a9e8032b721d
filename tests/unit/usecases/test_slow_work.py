"""The pool for what is slow: shares bound what runs at once, and no kind holds up another."""

from __future__ import annotations

import threading

import pytest

from memleash_responder.usecases.slow_work import THREADS, SlowWork


def test_no_more_of_a_kind_runs_at_once_than_its_share() -> None:
    share, running, most, lock = SlowWork().share(2), 0, 0, threading.Lock()
    both = threading.Barrier(2)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(60)
        with lock:
            running -= 1

    for future in [share.submit(work) for _ in range(8)]:
        future.result(60)
    assert most == 2


def test_what_waits_for_long_leaves_threads_to_others() -> None:
    slow, release = SlowWork(), threading.Event()
    long = slow.share(THREADS - 1)
    held = [long.submit(release.wait, 60) for _ in range(3 * THREADS)]

    assert slow.share(THREADS).submit(lambda: "done").result(60) == "done"
    release.set()
    assert all(future.result(60) for future in held)


def test_work_begins_in_the_order_in_which_it_came() -> None:
    share, order = SlowWork().share(1), list[int]()
    for future in [share.submit(order.append, number) for number in range(20)]:
        future.result(60)
    assert order == list(range(20))


def test_an_error_is_told_to_who_waits_and_the_next_goes_on() -> None:
    share = SlowWork().share(1)
    failed = share.submit(lambda: 1 // 0)

    assert share.submit(lambda: "next").result(60) == "next"
    with pytest.raises(ZeroDivisionError):
        failed.result(60)
