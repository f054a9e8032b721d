"""Finding an agent's main process: by systemd unit, by pidfile, by command line.

A search returns the pid, or None when the agent is surely not running; it raises CannotTell
when neither can be said, SeveralAgents when more than one process may be it. It runs while no
living process is known for the agent, and while the known one is young (see collector.agent).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from memleash_exporter.adapters import unit_pids
from memleash_exporter.adapters.processes import Processes, seconds_since_boot
from memleash_exporter.adapters.systemd import Systemctl
from memleash_exporter.decisions import trees
from memleash_exporter.decisions.pids import checked_pid
from memleash_exporter.errors import CannotTell, ProcessGone, SeveralAgents
from memleash_exporter.settings import Discover

_PIDFILE_BYTES = 64
_CLOCK_SLACK_SECONDS = 2.0
_MOST_ANCESTORS = 64


class Walk:
    """One walk over the host's command lines, shared by all agents that are searched for in it.

    ``patterns`` are those that will probably be asked for; ``agents`` the main processes that are
    known by now. Of the lines it keeps nothing: a host may have 10,000, and some are long.
    """

    def __init__(
        self, processes: Processes, patterns: Collection[str] = (), agents: Collection[int] = ()
    ) -> None:
        self.agents = agents
        self._processes = processes
        self._patterns = patterns
        self._pids: dict[str, list[int]] = {}
        self._unreadable = 0

    def again(self) -> Walk:
        """Return a walk that has still to be made."""
        return Walk(self._processes, self._patterns, self.agents)

    def matching(self, pattern: str) -> list[int]:
        """Return the pids whose command line ``pattern`` is found in; never our own.

        Raises CannotTell when nothing matches and some command lines are hidden from us.
        """
        if pattern not in self._pids:
            self._go({pattern, *self._patterns})
        pids = self._pids[pattern]
        if not pids and self._unreadable:
            raise CannotTell(f"{self._unreadable} command lines cannot be read (hidepid?)")
        return pids

    def _go(self, patterns: Collection[str]) -> None:
        self._unreadable, self._pids = 0, {pattern: [] for pattern in patterns}
        searches = [(re.compile(pattern).search, pids) for pattern, pids in self._pids.items()]
        for pid, line in self._processes.command_lines():
            if line is None:
                self._unreadable += 1
            elif line and pid != os.getpid():
                for search, pids in searches:
                    if search(line):
                        pids.append(pid)


Search = Callable[[Walk], int | None]


def search_for(
    discover: Discover, processes: Processes, cgroupfs: Path, systemctl: Systemctl
) -> Search:
    """Return the search that ``discover`` asks for."""
    if discover.pidfile is not None:
        pidfile = discover.pidfile
        return lambda _: by_pidfile(processes, pidfile)
    if discover.cmdline is not None:
        pattern = discover.cmdline
        return lambda walk: by_command_line(processes, walk, pattern)
    if discover.systemd_unit is not None:
        unit = discover.systemd_unit
        return lambda _: by_systemd_unit(processes, cgroupfs, systemctl, unit)
    raise AssertionError("settings let no agent pass that says nothing of how it is found")


def by_pidfile(processes: Processes, pidfile: Path) -> int | None:
    """Return the pid that ``pidfile`` names, while that process lives.

    A process that started after the file was written is not the one that wrote it: the file is
    stale and the pid in use again, or the clock was set. Which, cannot be told.
    """
    try:
        with pidfile.open("rb") as file:
            content = file.read(_PIDFILE_BYTES).strip()
            written_at = os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotTell(f"{pidfile} cannot be read: {error.strerror}") from error
    try:
        pid = checked_pid(int(content) if content.isdigit() else content)
    except ValueError as error:
        raise CannotTell(f"{pidfile} holds no pid") from error
    try:
        start_ticks = processes.get(pid).start_ticks()
        started_at = processes.boot_time() + seconds_since_boot(start_ticks)
    except ProcessGone:
        return None
    if started_at > written_at + _CLOCK_SLACK_SECONDS:
        raise CannotTell(f"process {pid} started after {pidfile} was written: a stale pidfile?")
    return pid


def check_alone(processes: Processes, agents: Collection[int], pid: int) -> None:
    """Raise SeveralAgents when an older process like ``pid`` is still there.

    It has the same command line, user and namespaces, is no ancestor and none of ``agents``, the
    main processes of them all: what a restart left behind, and no pidfile tells of. What is
    younger may be the agent's own, detached from it.
    """
    process = processes.get(pid)
    born, owner, own_line = process.start_ticks(), process.owner(), process.command_line()
    ruled_out = {pid, os.getpid(), *_ancestors(processes, pid), *agents}
    for other, line in processes.command_lines():
        if not line or line != own_line or other in ruled_out:
            continue
        try:
            like = processes.get(other)
            is_left_behind = like.start_ticks() < born and like.owner() == owner
        except ProcessGone:
            continue
        if is_left_behind:
            raise SeveralAgents(f"process {other}, like {pid} and older, still runs")


def by_command_line(processes: Processes, walk: Walk, pattern: str) -> int | None:
    """Return the root of the one process tree whose command lines match."""
    return _only_root(processes, walk.matching(pattern))


def by_systemd_unit(
    processes: Processes, cgroupfs: Path, systemctl: Systemctl, unit: str
) -> int | None:
    """Return the main process of ``unit``.

    1. No control group, or an empty one: not running, and nobody was bothered.
    2. Somebody lives in it: systemd says which one is the main process, if any.
    3. An active unit without a main process (Type=forking without PIDFile=, oneshot), or nobody
       to ask (in a container): the root of the group's process tree.
    """
    pids = unit_pids.unit_pids(cgroupfs, unit)
    if not pids:
        return None
    state = systemctl.unit_state(unit)
    if state is not None and state.main_pid is not None:
        return state.main_pid
    if state is not None and not state.is_active:
        return None
    return _only_root(processes, pids)


def _only_root(processes: Processes, pids: Iterable[int]) -> int | None:
    ancestors = {}
    for pid in pids:
        try:
            ancestors[pid] = _ancestors(processes, pid)
        except ProcessGone:
            continue
    roots = trees.roots(ancestors.keys(), ancestors)
    if len(roots) > 1:
        named = ", ".join(map(str, roots[:5]))
        raise SeveralAgents(f"{len(roots)} separate process trees match, with roots {named}")
    return roots[0] if roots else None


def _ancestors(processes: Processes, pid: int) -> list[int]:
    line: list[int] = []
    while pid > 1 and len(line) < _MOST_ANCESTORS:
        try:
            pid = processes.get(pid).parent_pid()
        except ProcessGone:
            if not line:
                raise
            break  # an ancestor ended meanwhile: the line known so far must do
        line.append(pid)
    return line
