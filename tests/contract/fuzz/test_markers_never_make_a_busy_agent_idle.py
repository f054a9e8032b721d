"""Whatever lies in a marker directory: each agent keeps its samples, and none looks idle by it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from memleash_exporter.collector.agents_collector import AgentsCollector, Host

HOUR = 3600
NOT_UNDERSTOOD = [
    b"busy",
    b"[]",
    b"[" * 60_000,
    b"\xff\xfe\xfd",
    b'{"reason": "' + b"x" * 1_000_000 + b'"}',
    b'{"pid": -1}',
    b'{"pid": 0}',
    b'{"pid": true}',
    b'{"pid": "12"}',
    b'{"pid": 1.5}',
    b'{"pid": 4194305}',
    b'{"pid": %d}' % 2**70,
    b'{"pid": ' + b"9" * 400 + b"}",
    b'{"pid": 4194304, "pid_start_ticks": "soon"}',
    b'{"expires_at": ' + b"9" * 400 + b"}",
    b'{"expires_at": ' + b"9" * 5000 + b"}",
    b'{"expires_at": -1}',
    b'{"expires_at": -1e999}',
    b'{"expires_at": NaN}',
    b'{"expires_at": Infinity}',
    b'{"expires_at": true}',
    b'{"expires_at": ""}',
    b'{"expires_at": "0001-01-01T00:00:00+14:00"}',
    b'{"expires_at": "2026-01-01T00:00:00"}',
    b'{"expires_at": {"$date": ' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}}",
]
LIVE = [b"", b" \n", b"{}", b'{"pid": 1}', b'{"reason": {"not": ["text"]}}']
LIVE += [b'{"expires_at": 1e300}', b'{"expires_at": "9999-12-31T23:59:59-14:00"}']
DEAD = [b'{"pid": 4194304}', b'{"expires_at": 1}', b'{"expires_at": "2001-01-01T00:00:00Z"}']


def _file(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _unreadable(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0)


def _device(path: Path, _: bytes) -> None:
    if os.geteuid():  # only root can make one
        path.symlink_to("/dev/zero")
    else:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))


KINDS: dict[str, Callable[[Path, bytes], None]] = {
    "pipe": lambda path, _: os.mkfifo(path),
    "socket": lambda path, _: os.mknod(path, stat.S_IFSOCK | 0o600),
    "device": _device,
    "directory": lambda path, _: path.mkdir(),
    "link": lambda path, _: path.symlink_to("/etc/passwd"),
    "link to a pipe": lambda path, _: path.symlink_to("pipe"),
    "dangling link": lambda path, _: path.symlink_to("nowhere"),
    "link to itself": lambda path, _: path.symlink_to(path.name),
}


@dataclass(frozen=True)
class Entry:
    """Something in the directory; ``age`` in seconds, negative for the future."""

    put: Callable[[Path, bytes], None]
    content: bytes
    age: float

    def place(self, path: Path, now: float) -> None:
        self.put(path, self.content)
        os.utime(path, (now - self.age, now - self.age), follow_symlinks=False)


FRESH = st.sampled_from([0.0, 60.0, HOUR - 60.0, -1.0, -2.0 * HOUR, -20 * 365 * 86400.0])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below),
    max_leaves=5,
)
COUNTS = st.builds(Entry, st.just(_file), st.sampled_from(NOT_UNDERSTOOD + LIVE), FRESH)
COUNTS |= st.builds(Entry, st.sampled_from(list(KINDS.values())), st.just(b""), FRESH)
COUNTS |= st.builds(Entry, st.just(_unreadable), st.just(b""), FRESH)
ANYTHING = COUNTS | st.builds(
    Entry,
    st.just(_file),
    st.sampled_from(DEAD)
    | st.binary(max_size=50)
    | st.dictionaries(
        st.sampled_from(["pid", "pid_start_ticks", "expires_at", "reason"]), JSON
    ).map(lambda raw: json.dumps(raw).encode()),
    FRESH | st.floats(-1e9, 1e9),
)


class Site:
    """The real collector on this machine, with two agents: one process, twice."""

    def __init__(self, folder: Path) -> None:
        self.directory = folder / "busy" / "one"
        # Its command line is its own: a worker of xdist has older ones like it beside it.
        script = "import sys; sys.stdin.read()"
        self._agent = subprocess.Popen(
            [sys.executable, "-c", script, folder], stdin=subprocess.PIPE
        )
        (folder / "pid").write_text(str(self._agent.pid))
        agents: list[dict[str, object]] = [
            {"name": name, "discover": {"pidfile": "pid"}, "busy": [{"markers": {}}]}
            for name in ("one", "two")
        ]
        config = folder / "exporter.yml"
        config.write_text(json.dumps({"agents": agents, "busy_markers_directory": "busy"}))
        self._collector = AgentsCollector(config, Host())

    def end(self) -> None:
        self._agent.communicate()

    def scrape(self, entries: list[Entry]) -> dict[tuple[str, str], float]:
        """Return the samples by name and agent, with ``entries`` in the directory of ``one``."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        now = time.time()
        for number, entry in enumerate(entries):
            entry.place(self.directory / str(number), now)
        text = self._collector.scrape().decode()
        return {
            (sample.name.removeprefix("memleash_agent_"), sample.labels["agent"]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if "agent" in sample.labels
        }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.end()


MANY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(entries=st.lists(ANYTHING, max_size=4))
def test_each_agent_keeps_its_samples(site: Site, entries: list[Entry]) -> None:
    samples = site.scrape(entries)
    for agent in ("one", "two"):
        assert samples["up", agent] == 1
        assert samples["sample_success", agent] == 1
        assert samples["resident_memory_bytes", agent] > 0
        assert samples["busy_source_success", agent] == 1
    assert samples["busy", "two"] == 0
    assert samples.get(("busy_since_timestamp_seconds", "one"), 0) <= time.time()


@MANY
@given(entry=COUNTS, others=st.lists(ANYTHING, max_size=3))
def test_what_is_fresh_and_cannot_be_understood_counts(
    site: Site, entry: Entry, others: list[Entry]
) -> None:
    assert site.scrape([*others, entry])["busy", "one"] == 1


@pytest.mark.parametrize("content", NOT_UNDERSTOOD, ids=lambda content: repr(content[:40]))
@pytest.mark.parametrize("age", [0.0, -2.0 * HOUR])
def test_each_content_that_cannot_be_understood_counts(
    site: Site, content: bytes, age: float
) -> None:
    assert site.scrape([Entry(_file, content, age)])["busy", "one"] == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("age", "busy"), [(0.0, 1), (-2.0 * HOUR, 1), (HOUR + 60.0, 0)])
def test_what_is_no_regular_file_counts_for_an_hour(
    site: Site, kind: str, age: float, busy: int
) -> None:
    assert site.scrape([Entry(KINDS[kind], b"", age)])["busy", "one"] == busy


@pytest.mark.parametrize("content", DEAD)
def test_what_says_that_it_is_over_is_over(site: Site, content: bytes) -> None:
    assert site.scrape([Entry(_file, content, 0.0)])["busy", "one"] == 0


def test_more_files_than_are_looked_at_are_never_idle(site: Site) -> None:
    litter = [Entry(_file, b"", HOUR + 60.0)] * 3000
    samples = site.scrape(litter)
    assert ("busy", "one") not in samples
    assert samples["busy_source_success", "one"] == 0
    assert samples["up", "one"] == 1
    assert samples["busy", "two"] == 0
    assert site.scrape([Entry(_file, b"", 0.0)] * 3000)["busy", "one"] == 1
