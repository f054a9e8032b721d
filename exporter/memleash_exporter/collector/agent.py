"""Watching one agent: find its process once, then read it, scrape after scrape.

A restart may leave two agents behind, and then nobody can say which is the one. So a process is
searched for again while it is young, and a pidfile, which costs little, is read each time.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memleash_exporter.adapters.discovery import Search, Walk, check_alone
from memleash_exporter.adapters.processes import Processes, seconds_since_boot
from memleash_exporter.collector.busy_sources import Ask, Question, report
from memleash_exporter.collector.limited_memory import limited_bytes
from memleash_exporter.collector.readiness import Readiness
from memleash_exporter.collector.sample import AgentSample, Facts, Life
from memleash_exporter.decisions import busy
from memleash_exporter.errors import CannotTell, ProcessGone, SeveralAgents
from memleash_exporter.settings import Agent, LimitsOf

YOUNGEST_COUNTED_SECONDS = 1.0
"""A descendant counts in the tree's memory from this age on: between fork and exec a child
shares its parent's pages, and would show the agent at twice its size."""

SEARCH_AGAIN_SECONDS = 5.0
"""How often a young process is searched for again: each time costs a walk over the host."""

YOUNG_SECONDS = 60.0
"""Until this age of a process it is made sure that no other one has come up beside it."""

_TRIES = 3  # a process may end between being found and being read; so may its successor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watched:
    """What an AgentWatch needs: the agent's settings and the host's side of them."""

    agent: Agent
    processes: Processes
    search: Search
    sources: Sequence[tuple[str, Ask]]
    readiness: Readiness


@dataclass(frozen=True, slots=True)
class Look:
    """What looking for the process came to; ``is_up`` None: cannot be told; see ``trouble``."""

    is_up: bool | None = None
    facts: Facts | None = None
    trouble: str = ""


class AgentWatch:
    """One agent. Remembers its life, its busy stretch, and the last trouble it logged."""

    def __init__(self, watched: Watched, clock: Callable[[], float] = time.time) -> None:
        self._watched = watched
        self._clock = clock
        self._life: Life | None = None
        self._busy_since: float | None = None
        self._trouble = ""
        self._is_young = True
        self._searched_at = float("-inf")  # in seconds since boot

    @property
    def pid(self) -> int | None:
        """The agent's main process, as far as it is known."""
        return None if self._life is None else self._life.pid

    @property
    def sought(self) -> str | None:
        """The pattern that the next sample will search for, unless the agent ends before."""
        return self.agent.discover.cmdline if self._life is None or self._is_young else None

    @property
    def agent(self) -> Agent:
        """The settings it was made from."""
        return self._watched.agent

    def continue_from(self, before: AgentWatch) -> None:
        """Take over what ``before`` knows, where the agent is still found in the same way."""
        if before.agent.discover == self.agent.discover:
            self._life = before._life
            self._is_young, self._searched_at = before._is_young, before._searched_at
            self._busy_since = before._busy_since
            self._trouble = before._trouble

    def sample(self, walk: Walk) -> AgentSample:
        """Return what the agent looks like now.

        1. Reads its process, after a search when none is known or the known one is over.
        2. Asks its busy sources and reads the readiness probe's last word.
        3. Remembers the life and the busy stretch, and logs what changed.
        """
        began, now = time.perf_counter(), self._clock()
        look = self._look(walk)
        self._log_trouble(look.trouble)
        life = self._life if look.is_up else None
        question = Question(life, now)
        reports = tuple(report(name, ask, question) for name, ask in self._watched.sources)
        self._busy_since = busy.busy_since(reports, self._busy_since, now)
        return AgentSample(
            agent=self.agent,
            is_up=look.is_up,
            facts=look.facts,
            reports=reports,
            busy=busy.combined(reports),
            busy_since=self._busy_since,
            is_ready=self._watched.readiness(life),
            is_complete=not look.trouble,
            duration_seconds=time.perf_counter() - began,
        )

    def _look(self, walk: Walk) -> Look:
        try:
            for attempt in range(_TRIES):
                try:
                    life = self._current(walk.again() if attempt else walk)
                    if life is None:
                        return Look(is_up=False)
                    return self._read(life)
                except ProcessGone:
                    self._end_life()
        except SeveralAgents as error:
            self._life = None  # searched for again, until there is one
            return Look(trouble=str(error))
        except CannotTell as error:
            return Look(trouble=str(error))
        return Look(trouble="its processes end faster than they can be read")

    def _current(self, walk: Walk) -> Life | None:
        """Return the agent's life, None when it surely has none. Raises SeveralAgents."""
        by_pidfile = self.agent.discover.pidfile is not None
        known = self._life
        life = known or self._found(walk)
        if life is None:
            return None
        is_due = self._is_young and self._is_search_due(life)
        if known is not None and (is_due or by_pidfile):
            self._search_again(known, walk)
        if by_pidfile and is_due:
            check_alone(self._watched.processes, walk.agents, life.pid)
        return life

    def _is_search_due(self, life: Life) -> bool:
        """Return whether it is to be made sure now that ``life`` is the only one.

        Remembers the moment, and whether the life is still young by then.
        """
        uptime = self._watched.processes.uptime()
        if uptime - self._searched_at < SEARCH_AGAIN_SECONDS:
            return False
        self._searched_at = uptime
        self._is_young = uptime - seconds_since_boot(life.start_ticks) < YOUNG_SECONDS
        return True

    def _search_again(self, known: Life, walk: Walk) -> None:
        """Raise SeveralAgents when another process has come up beside the known one."""
        try:
            pid = self._watched.search(walk)
        except SeveralAgents:
            raise
        except CannotTell:
            return  # what was found once is not doubted for that
        if pid not in (None, known.pid):
            known.process.check()
            raise SeveralAgents(f"process {known.pid} still runs beside {pid}")

    def _found(self, walk: Walk) -> Life | None:
        """Search for the agent; remember and return its life, None when it surely has none."""
        processes = self._watched.processes
        pid = self._watched.search(walk)
        if pid is None:
            if not processes.shows_all_processes():
                raise CannotTell("not found, but other users' processes are hidden (hidepid=2)")
            return None
        process = processes.get(pid)
        start_ticks = process.start_ticks()
        started_at = processes.boot_time() + seconds_since_boot(start_ticks)
        self._life = Life(process, start_ticks, started_at)
        self._is_young, self._searched_at = True, float("-inf")
        log.info(
            "agent found", extra={"agent": self.agent.name, "pid": pid, "started_at": started_at}
        )
        return self._life

    def _end_life(self) -> None:
        if self._life is not None:
            log.info("agent is over", extra={"agent": self.agent.name, "pid": self._life.pid})
        self._life = None

    def _read(self, life: Life) -> Look:
        """Read the facts, then see that all of them were of this life. Raises ProcessGone."""
        try:
            look = self._facts(life)
        except CannotTell as error:
            look = Look(is_up=True, trouble=str(error))
        life.process.check_pid()
        return look

    def _facts(self, life: Life) -> Look:
        """Return its facts. What cannot be told of its descendants takes nothing else away."""
        usage, limits = life.process.usage(), self.agent.limits
        tree_bytes, trouble = None, ""
        if self.agent.include_children or limits.of is LimitsOf.TREE:
            try:
                tree_bytes = usage.resident_bytes + self._descendants_resident_bytes(life)
            except CannotTell as error:
                trouble = str(error)
        limited = limited_bytes(limits.of, usage, tree_bytes)
        if limited is None:
            trouble = trouble or f"the kernel does not tell what the limits are of: {limits.of}"
        return Look(True, Facts(life, usage, tree_bytes, limited), trouble)

    def _descendants_resident_bytes(self, life: Life) -> int:
        processes = self._watched.processes
        descendants = processes.descendants(life.pid)
        if not descendants:
            return 0
        total, newest = 0, processes.uptime() - YOUNGEST_COUNTED_SECONDS
        for pid in descendants:
            with contextlib.suppress(ProcessGone):
                process = processes.get(pid)
                if seconds_since_boot(process.start_ticks()) <= newest:
                    total += process.resident_bytes()
        return total

    def _log_trouble(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            log.warning(
                "agent cannot be read", extra={"agent": self.agent.name, "problem": trouble}
            )
        elif self._trouble and not trouble:
            log.info("agent can be read again", extra={"agent": self.agent.name})
        self._trouble = trouble
