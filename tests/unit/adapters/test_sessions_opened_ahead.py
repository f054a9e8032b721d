"""Sessions opened ahead: taken once, closed when nobody takes them, opened anew when lost."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator

import pytest

from responder.adapters.ssh_ahead import SessionsAhead
from responder.core.facts import Host

HOST = Host("node-1", "127.0.0.1:1", "127.0.0.1", {"host": "node-1"})


@dataclasses.dataclass
class Sessions:
    """What was opened and closed, by number."""

    opened: list[int] = dataclasses.field(default_factory=list)
    closed: list[int] = dataclasses.field(default_factory=list)
    lost: set[int] = dataclasses.field(default_factory=set)
    failing: bool = False
    gate: threading.Event = dataclasses.field(default_factory=threading.Event)

    @contextlib.contextmanager
    def open(self, host: Host) -> Iterator[int]:
        assert self.gate.wait(20)
        if self.failing:
            raise ConnectionRefusedError(host.name)
        number = len(self.opened)
        self.opened.append(number)
        try:
            yield number
        finally:
            self.closed.append(number)

    def ahead(self, keep_seconds: float = 20) -> SessionsAhead[int]:
        return SessionsAhead(
            self.open, lambda number: number not in self.lost, keep_seconds=keep_seconds
        )


@pytest.fixture
def sessions() -> Sessions:
    sessions = Sessions()
    sessions.gate.set()
    return sessions


def until(condition: object) -> None:
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_without_one_ahead_a_session_is_opened_and_closed(sessions: Sessions) -> None:
    with sessions.ahead().session(HOST) as number:
        assert (number, sessions.closed) == (0, [])
    assert sessions.closed == [0]


def test_the_session_that_was_opened_ahead_is_the_one_that_is_used(sessions: Sessions) -> None:
    ahead = sessions.ahead()
    ahead.begin(HOST)
    until(lambda: sessions.opened)
    with ahead.session(HOST) as number:
        assert number == 0
    assert (sessions.opened, sessions.closed) == ([0], [0])


def test_one_that_is_still_being_opened_is_waited_for(sessions: Sessions) -> None:
    sessions.gate.clear()
    ahead = sessions.ahead()
    ahead.begin(HOST)
    threading.Timer(0.05, sessions.gate.set).start()
    with ahead.session(HOST) as number:
        assert number == 0
    assert sessions.opened == [0]


def test_a_session_is_taken_once(sessions: Sessions) -> None:
    ahead = sessions.ahead()
    ahead.begin(HOST)
    with ahead.session(HOST) as first, ahead.session(HOST) as second:
        assert first != second


def test_asking_twice_opens_one(sessions: Sessions) -> None:
    ahead = sessions.ahead()
    ahead.begin(HOST)
    ahead.begin(HOST)
    with ahead.session(HOST):
        assert sessions.opened == [0]


def test_one_that_was_lost_meanwhile_is_opened_anew(sessions: Sessions) -> None:
    ahead = sessions.ahead()
    ahead.begin(HOST)
    until(lambda: sessions.opened)
    sessions.lost.add(0)
    with ahead.session(HOST) as number:
        assert number == 1
    assert sorted(sessions.closed) == [0, 1]


def test_one_that_cannot_be_had_raises_where_it_is_taken(sessions: Sessions) -> None:
    sessions.failing = True
    ahead = sessions.ahead()
    ahead.begin(HOST)
    with pytest.raises(ConnectionRefusedError), ahead.session(HOST):
        raise AssertionError("there must be no session")


def test_one_that_nobody_takes_is_closed_in_time_and_forgotten(sessions: Sessions) -> None:
    ahead = sessions.ahead(keep_seconds=0.05)
    ahead.begin(HOST)
    until(lambda: sessions.closed == [0])
    with ahead.session(HOST) as number:
        assert number == 1


def test_what_happens_in_a_session_goes_through_and_the_session_is_closed(
    sessions: Sessions,
) -> None:
    ahead = sessions.ahead()
    ahead.begin(HOST)
    with pytest.raises(KeyError), ahead.session(HOST):
        raise KeyError
    assert sessions.closed == [0]
