"""Reads, renewals and cancels of one host at the same time: nobody sees what never was."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
import requests

from demo.stack.ports import free_port
from demo.stack.postgres import Postgres, running_postgres
from demo.stack.responder import Responder, responder
from tests.integration.mutes.nodes import GIB, Node
from tests.integration.mutes.site import Site, running

pytestmark = pytest.mark.integration

SECONDS = 6
MINUTES_OF = {GIB: 5, 4 * GIB: 10, 10 * GIB: 15}
TAIL_SECONDS = 2


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(
    params=[
        "SQLite, one process",
        "PostgreSQL, two replicas",
    ],
)
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Site, list[Responder]]]:
    """A site of its own, and the responders that serve it."""
    kind, age = request.param, "stable"
    if kind.startswith("SQLite"):
        with running(tmp_path, age) as site:
            yield site, [site.responder]
        return
    database = request.getfixturevalue("postgres").url
    with running(tmp_path, age, database=database) as site:
        port = free_port()
        second = responder(tmp_path, port, site.config, "second")
        site.cleanup.callback(second.program.stop)
        second.program.start()
        yield site, [site.responder, second]


class Crowd:
    """Threads that do what people, pingers and Alertmanagers do, until they are told to stop."""

    def __init__(self, site: Site, node: Node, responders: list[Responder]) -> None:
        self._site, self._node, self._responders = site, node, responders
        self._stop = threading.Event()
        self.reads: list[tuple[float, float, float]] = []
        """When a read began, when it ended, and the deadline that it saw."""
        self.acts = 0

    def run(self) -> None:
        """Do it all at once for a while. Raises what any of them ran into."""
        does = [self._read, self._read, self._list, self._discover, self._tell, self._tell]
        does += [self._cancel, self._change]
        with ThreadPoolExecutor(len(does)) as threads:
            futures = [threads.submit(self._repeat, one) for one in does]
            self._stop.wait(SECONDS)
            self._stop.set()
            for future in futures:
                future.result()

    def _repeat(self, act: Callable[[str], None]) -> None:
        while not self._stop.is_set():
            act(random.choice(self._responders).url)
            self.acts += 1

    def _get(self, url: str) -> requests.Response:
        answer = requests.get(url, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer

    def _read(self, url: str) -> None:
        began = time.time()
        mute = self._get(f"{url}/api/v1/hosts/{self._node.name}/mute").json()
        assert mute["muted"] is (mute["until"] is not None) is (mute["reason"] is not None)
        if mute["muted"]:
            until = datetime.fromisoformat(mute["until"]).timestamp()
            self.reads.append((began, time.time(), until))

    def _list(self, url: str) -> None:
        listed = self._get(f"{url}/api/v1/mutes").json()["mutes"]
        assert [one["host"] for one in listed] in ([], [self._node.name])

    def _discover(self, url: str) -> None:
        assert len(self._get(f"{url}/api/v1/sd/ping-targets").json()) in (0, 1)

    def _tell(self, url: str) -> None:
        self._site.tell(self._node, random.choice(["firing", "resolved"]))

    def _cancel(self, url: str) -> None:
        answer = requests.delete(f"{url}/api/v1/mutes/{self._node.name}", timeout=60)
        assert answer.status_code == 204, answer.text

    def _change(self, url: str) -> None:
        self._node.resident_bytes = random.choice(list(MINUTES_OF))
        self._node.busy = random.choice([0, 1, 1, None])
        self._stop.wait(0.05)


def test_no_reader_sees_an_error_or_a_deadline_that_was_never_set(
    fleet: tuple[Site, list[Responder]],
) -> None:
    site, responders = fleet
    node = site.add(busy=1)
    site.gets_busy(node)
    began = time.time()
    crowd = Crowd(site, node, responders)
    crowd.run()
    assert len(crowd.reads) > 10, "they did see mutes"
    for read_began, read_ended, until in crowd.reads:
        assert until == math.floor(until), "deadlines are whole seconds"
        assert until >= read_began - 1 - 1, "none that is over, its last second apart"
        # Set at some moment from the start of it all until now, by the formula or to the tail.
        possible = [(0, TAIL_SECONDS), *((60 * n, 60 * n) for n in MINUTES_OF.values())]
        assert any(
            began - 40 + low <= until <= math.ceil(read_ended + high) for low, high in possible
        ), (until - read_began, until - read_ended)
    for one in responders:
        log = one.program.log.read_text()
        assert "Traceback" not in log
        assert "level=error" not in log
    _settles(site, node)


def _settles(site: Site, node: Node) -> None:
    """Once it is quiet the host has the mute it should have, and no trace of any other."""
    node.busy = 0
    for _ in range(2):  # the first look is over when the second begins: idle was seen
        node.looked_at.clear()
        site.tell(node, "resolved")
        assert node.looked_at.wait(60)
    site.no_silence(node)
    site.gets_busy(node)
    assert len(site.silences(node)) == 1
    node.busy = 0
    site.no_silence(node)
