"""Watching an agent over its lives: found once, then checked; facts of one life at a time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from memleash_exporter.adapters.discovery import Walk
from memleash_exporter.collector.agent import SEARCH_AGAIN_SECONDS, AgentWatch, Watched
from memleash_exporter.collector.busy_sources import Question
from memleash_exporter.collector.readiness import unknown
from memleash_exporter.collector.sample import AgentSample
from memleash_exporter.decisions.busy import Busyness
from memleash_exporter.errors import CannotTell, SeveralAgents
from memleash_exporter.settings import Agent, Discover, Limits, LimitsOf


class Host:
    """A host with one agent on a written procfs, and a search that counts how often it is run."""

    def __init__(
        self, fake: Any, *, include_children: bool = False, of: LimitsOf = LimitsOf.MAIN
    ) -> None:
        self.fake = fake
        self.processes = fake.processes()
        self.searches = 0
        self.pid: int | None = 7
        self.cannot_tell = self.several = False
        self.word = Busyness.IDLE
        agent = Agent("a", Discover(cmdline="agent"), Limits(of), include_children=include_children)
        self.watch = AgentWatch(
            Watched(agent, self.processes, self._search, [("source", self._ask)], unknown),
            clock=lambda: 2000.0,
        )

    def _search(self, _: Walk) -> int | None:
        self.searches += 1
        if self.cannot_tell:
            raise CannotTell("no permission")
        if self.several:
            raise SeveralAgents("two trees")
        return self.pid

    def _ask(self, _: Question) -> tuple[Busyness, float | None]:
        return self.word, 1500.0

    def sample(self) -> AgentSample:
        return self.watch.sample(Walk(self.processes))

    def wait(self, seconds: float) -> None:
        uptime = self.fake.root / "uptime"
        up = float(uptime.read_text().split()[0]) + seconds
        uptime.write_text(f"{up:.2f} 900.00\n")

    def kill(self, pid: int = 7) -> None:
        shutil.rmtree(Path(self.fake.root) / str(pid))


def start_time(sample: AgentSample) -> float | None:
    return None if sample.facts is None else sample.facts.life.started_at


@pytest.fixture
def host(fake_procfs: Any) -> Host:
    return Host(fake_procfs)


def test_found_once_it_is_not_searched_for_again(host: Host) -> None:
    host.fake.add(7, start_ticks=150)
    for _ in range(5):
        sample = host.sample()
        assert (sample.is_up, sample.is_complete, start_time(sample)) == (True, True, 1001.5)
    assert host.searches == 1


def test_a_successor_is_found_in_the_same_scrape(host: Host) -> None:
    host.fake.add(7, start_ticks=150)
    host.sample()
    host.kill()
    host.fake.add(8, start_ticks=900, rss_kib=12)
    host.pid = 8
    sample = host.sample()
    assert (sample.is_up, start_time(sample)) == (True, 1009.0)
    assert sample.facts is not None
    assert sample.facts.usage.resident_bytes == 12288
    assert host.searches == 2


def test_a_reused_pid_is_another_life(host: Host) -> None:
    host.fake.add(7, start_ticks=150)
    host.sample()
    host.fake.add(7, start_ticks=151)
    assert start_time(host.sample()) == 1001.51
    assert host.searches == 2


def test_a_reused_pid_of_a_stranger_is_not_the_agent(host: Host) -> None:
    host.fake.add(7, start_ticks=150)
    host.sample()
    host.fake.add(7, start_ticks=151)
    host.pid = None
    sample = host.sample()
    assert (sample.is_up, sample.facts, sample.is_complete) == (False, None, True)


YOUNG, OLD = 49_000, 150
"""Start ticks of a process that is 10 s old, and of one that is 498 s old."""


def test_while_it_is_young_a_second_one_beside_it_makes_both_unknown(host: Host) -> None:
    host.fake.add(7, start_ticks=YOUNG)
    assert host.sample().is_up
    host.several = True
    assert host.sample().is_up, "it is not searched for at every scrape"
    host.wait(SEARCH_AGAIN_SECONDS)
    sample = host.sample()
    assert (sample.is_up, sample.is_complete, sample.facts) == (None, False, None)
    host.fake.add(7, start_ticks=OLD)
    assert host.sample().is_up is None, "and it stays so until there is one"
    host.several = False
    assert host.sample().is_up


def test_a_search_that_fails_does_not_make_a_found_process_unknown(host: Host) -> None:
    host.fake.add(7, start_ticks=YOUNG)
    host.sample()
    host.cannot_tell = True
    host.wait(SEARCH_AGAIN_SECONDS)
    assert host.sample().is_up
    host.cannot_tell, host.pid = False, None
    host.wait(SEARCH_AGAIN_SECONDS)
    assert host.sample().is_up
    assert host.searches == 3


@pytest.mark.parametrize("old_one_lives", [True, False])
def test_a_search_that_finds_another_process_does_so_when_the_first_is_over(
    host: Host, old_one_lives: bool
) -> None:
    host.fake.add(7, start_ticks=YOUNG)
    host.sample()
    host.fake.add(8, start_ticks=YOUNG + 1)
    host.pid = 8
    host.wait(SEARCH_AGAIN_SECONDS)
    if not old_one_lives:
        host.kill()
    sample = host.sample()
    assert (sample.is_up, sample.is_complete) == ((None, False) if old_one_lives else (True, True))


def test_its_start_does_not_move_when_the_clock_is_set(host: Host) -> None:
    host.fake.add(7, start_ticks=150)
    before = start_time(host.sample())
    (host.fake.root / "stat").write_text("btime 99999\n")
    assert start_time(host.sample()) == before


def test_surely_down_is_told_apart_from_unknown(host: Host) -> None:
    host.pid = None
    sample = host.sample()
    assert (sample.is_up, sample.is_complete, sample.facts) == (False, True, None)
    host.cannot_tell = True
    sample = host.sample()
    assert (sample.is_up, sample.is_complete, sample.facts) == (None, False, None)


def test_not_found_among_hidden_processes_is_unknown(host: Host) -> None:
    host.kill(1)
    host.pid = None
    sample = host.sample()
    assert (sample.is_up, sample.is_complete) == (None, False)


def test_what_cannot_be_read_is_no_sample_rather_than_0(host: Host) -> None:
    status = host.fake.add(7) / "status"
    status.unlink()
    status.mkdir()  # even root cannot read that
    sample = host.sample()
    assert (sample.is_up, sample.is_complete, sample.facts) == (True, False, None)


def test_processes_that_end_as_fast_as_they_are_found_are_unknown(host: Host) -> None:
    sample = host.sample()
    assert (sample.is_up, sample.is_complete) == (None, False)
    assert host.searches == 3


def test_the_tree_counts_descendants_but_not_the_newborn(fake_procfs: Any) -> None:
    host = Host(fake_procfs, include_children=True)
    host.fake.add(7, rss_kib=1000, children=(8, 9))
    host.fake.add(8, parent=7, rss_kib=100, children=(10,))
    host.fake.add(9, parent=7, rss_kib=1000, start_ticks=49_901)  # 0.99 s old
    host.fake.add(10, parent=8, rss_kib=12, start_ticks=49_900)  # 1 s old
    facts = host.sample().facts
    assert facts is not None
    assert facts.tree_resident_bytes == 1112 * 1024
    assert facts.usage.resident_bytes == 1000 * 1024


def test_without_include_children_no_tree_is_told(host: Host) -> None:
    host.fake.add(7, children=(8,))
    facts = host.sample().facts
    assert facts is not None
    assert facts.tree_resident_bytes is None


@pytest.mark.parametrize(
    ("of", "limited_kib"),
    [(LimitsOf.MAIN, 1000), (LimitsOf.TREE, 1112), (LimitsOf.ANONYMOUS, 512 + 64)],
)
def test_the_limits_are_held_against_what_they_are_of(
    fake_procfs: Any, of: LimitsOf, limited_kib: int
) -> None:
    host = Host(fake_procfs, of=of)
    host.fake.add(7, rss_kib=1000, swap_kib=64, children=(8,))
    host.fake.add(8, parent=7, rss_kib=100, swap_kib=7, children=(9,))
    host.fake.add(9, parent=8, rss_kib=12)
    sample = host.sample()
    assert sample.facts is not None
    assert (sample.is_complete, sample.facts.limited_bytes) == (True, limited_kib * 1024)
    assert (sample.facts.tree_resident_bytes is None) == (of is not LimitsOf.TREE)


@pytest.mark.parametrize("of", LimitsOf)
def test_a_descendant_that_cannot_be_read_makes_the_tree_unknown_and_nothing_else(
    fake_procfs: Any, of: LimitsOf
) -> None:
    host = Host(fake_procfs, of=of)
    host.fake.add(7, children=(8,))
    statm = host.fake.add(8, parent=7) / "statm"
    statm.unlink()
    statm.mkdir()  # even root cannot read that
    sample = host.sample()
    assert sample.facts is not None
    limited = sample.facts.limited_bytes
    assert (sample.is_complete, limited is None) == (
        (False, True) if of is LimitsOf.TREE else (True, False)
    )
    assert sample.facts.usage.resident_bytes == 1024 * 1024


def test_a_descendant_that_is_hidden_makes_the_tree_unknown(fake_procfs: Any) -> None:
    host = Host(fake_procfs, of=LimitsOf.TREE)
    host.fake.add(7, children=(8,))
    sample = host.sample()
    assert sample.facts is not None
    assert (sample.is_complete, sample.facts.limited_bytes) == (True, 1024 * 1024), "8 has ended"
    host.kill(1)  # as under hidepid=2
    sample = host.sample()
    assert sample.facts is not None
    assert (sample.is_complete, sample.facts.limited_bytes) == (False, None)


def test_where_the_kernel_does_not_tell_swap_anonymous_memory_is_unknown(fake_procfs: Any) -> None:
    host = Host(fake_procfs, of=LimitsOf.ANONYMOUS)
    status = host.fake.add(7) / "status"
    status.write_bytes(b"Name:\tagent\nVmRSS:\t1024 kB\nThreads:\t1\n")
    sample = host.sample()
    assert sample.facts is not None
    assert (sample.is_complete, sample.facts.limited_bytes) == (False, None)


def test_a_busy_stretch_is_remembered_until_it_ends(host: Host) -> None:
    host.fake.add(7)
    host.word = Busyness.BUSY
    assert host.sample().busy_since == 1500.0
    host.word = Busyness.UNKNOWN
    assert host.sample().busy_since is None
    host.word = Busyness.BUSY
    assert host.sample().busy_since == 1500.0


def test_a_new_configuration_of_the_same_agent_needs_no_search(host: Host) -> None:
    host.fake.add(7)
    host.sample()
    again = Host(host.fake)
    again.watch.continue_from(host.watch)
    assert again.sample().is_up
    assert again.searches == 0


def test_trouble_is_logged_when_it_begins_and_ends(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    host.cannot_tell = True
    for _ in range(3):
        host.sample()
    host.cannot_tell = False
    host.fake.add(7)
    for _ in range(3):
        host.sample()
    assert [record.message for record in caplog.records] == [
        "agent cannot be read",
        "agent found",
        "agent can be read again",
    ]
