"""Sessions that are opened ahead, so that a handshake overlaps with what has to be looked at.

A session that nobody takes in time is closed. One that cannot be had raises when it is taken; one
that was lost meanwhile is opened anew. At most one is kept for a host.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from typing import Generic, TypeVar

from responder.core.facts import Host

T = TypeVar("T")

KEEP_SECONDS = 15.0
"""How long an open session waits to be taken."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Ahead(Generic[T]):
    session: Future[T] = dataclasses.field(default_factory=Future)
    open_until: ExitStack = dataclasses.field(default_factory=ExitStack)
    taken: threading.Event = dataclasses.field(default_factory=threading.Event)


class SessionsAhead(Generic[T]):
    """Opens sessions, ahead or when they are needed."""

    def __init__(
        self,
        opened: Callable[[Host], AbstractContextManager[T]],
        is_alive: Callable[[T], bool],
        *,
        keep_seconds: float = KEEP_SECONDS,
    ) -> None:
        self._opened = opened
        self._is_alive = is_alive
        self._keep_seconds = keep_seconds
        self._ahead: dict[str, _Ahead[T]] = {}
        self._lock = threading.Lock()

    def begin(self, host: Host) -> None:
        """Begin to open a session with ``host``, unless there is one."""
        ahead: _Ahead[T] = _Ahead()
        with self._lock:
            if self._ahead.setdefault(host.name, ahead) is not ahead:
                return
        name = f"ssh-ahead-{host.name}"
        threading.Thread(target=self._keep, args=(host, ahead), name=name, daemon=True).start()

    def _keep(self, host: Host, ahead: _Ahead[T]) -> None:
        """Open the session; close it when nobody takes it in time."""
        try:
            session = ahead.open_until.enter_context(self._opened(host))
        except Exception as error:  # noqa: BLE001 - raised where the session is taken
            ahead.session.set_exception(error)
        else:
            ahead.session.set_result(session)
        if not ahead.taken.wait(self._keep_seconds) and self._take(host, ahead):
            ahead.open_until.close()

    def _take(self, host: Host, ahead: _Ahead[T]) -> bool:
        """Make ``ahead`` the caller's, who closes it; False when it is another's already."""
        with self._lock:
            if self._ahead.get(host.name) is not ahead:
                return False
            del self._ahead[host.name]
        ahead.taken.set()
        return True

    @contextlib.contextmanager
    def session(self, host: Host) -> Iterator[T]:
        """Hold a session with ``host``, the one that was opened ahead if it is there and alive."""
        ahead = self._ahead.get(host.name)
        if ahead is not None and self._take(host, ahead):
            with ahead.open_until:
                session = ahead.session.result()
                if self._is_alive(session):
                    yield session
                    return
        with self._opened(host) as session:
            yield session
