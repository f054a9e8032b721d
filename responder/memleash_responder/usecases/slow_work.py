"""One pool of threads for all that waits for hosts and peers.

Each kind of work has a share of the pool: how much of it may run at once. What waits for long,
such as a controller that takes half an hour, leaves threads to what an alert asks for.
"""

from __future__ import annotations

import collections
import functools
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

THREADS = 12


class SlowWork:
    """The pool of one process."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="slow")

    def share(self, at_once: int) -> Share:
        """Return a share of the pool, which runs ``at_once`` pieces of work at most."""
        return Share(self._pool, at_once)


class Share(Executor):
    """What one kind of work is submitted to. Begun in the order in which it comes."""

    def __init__(self, pool: Executor, at_once: int) -> None:
        self._pool = pool
        self._at_once = at_once
        self._lock = threading.Lock()
        self._running = 0
        self._waiting: collections.deque[Callable[[], None]] = collections.deque()

    def submit(self, work: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run ``work`` once a place is free. Raises RuntimeError when no thread can be had."""
        future: Future[T] = Future()
        bound = functools.partial(work, *args, **kwargs)
        with self._lock:
            if self._running >= self._at_once:
                self._waiting.append(lambda: _fulfil(future, bound))
                return future
            self._running += 1
        try:
            self._pool.submit(self._run, lambda: _fulfil(future, bound))
        except RuntimeError:
            with self._lock:
                self._running -= 1
            raise
        return future

    def _run(self, work: Callable[[], None]) -> None:
        """Do ``work`` and what waits behind it, going to the end of the pool's line in between."""
        work()
        with self._lock:
            if not self._waiting:
                self._running -= 1
                return
            following = self._waiting.popleft()
        self._pool.submit(self._run, following)


def _fulfil(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - whoever waits for it is told
        future.set_exception(error)
    else:
        future.set_result(result)
