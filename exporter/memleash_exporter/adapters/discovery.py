"""Finding an agent's main process: by systemd unit, by pidfile, by command line.

A search returns the pid, or None when the agent is surely not running; it raises CannotTell
when neither can be said, SeveralAgents when more than one process may be it. It runs while no
living process is known for the agent, and while the known one is young (see collector.agent).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from memleash_exporter.adapters import cgroups
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
    """One walk over the host's command lines, shared by all agents that are searched for in it."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._lines: list[tuple[int, str]] | None = None
        self._unreadable = 0

    def matching(self, pattern: str) -> list[int]:
        """Return the pids whose command line ``pattern`` is found in; never our own.

        Raises CannotTell when nothing matches and some command lines are hidden from us.
        """
        search = re.compile(pattern).search
        pids = [pid for pid, line in self._all() if search(line)]
        if not pids and self._unreadable:
            raise CannotTell(f"{self._unreadable} command lines cannot be read (hidepid?)")
        return pids

    def like(self, line: str) -> list[int]:
        """Return the pids whose whole command line is ``line``; never our own."""
        return [pid for pid, other in self._all() if other == line]

    def _all(self) -> list[tuple[int, str]]:
        if self._lines is None:
            self._lines = self._read_all()
        return self._lines

    def _read_all(self) -> list[tuple[int, str]]:
        lines = []
        for pid, line in self._processes.command_lines():
            if line is None:
                self._unreadable += 1
            elif line and pid != os.getpid():
                lines.append((pid, line))
        return lines


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
    unit = discover.systemd_unit or ""
    return lambda _: by_systemd_unit(processes, cgroupfs, systemctl, unit)


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


def check_alone(processes: Processes, walk: Walk, pid: int) -> None:
    """Raise SeveralAgents when an older process like ``pid`` is still there.

    It has the same command line, user and namespaces and is no ancestor: what a restart left
    behind, and no pidfile tells of. What is younger may be the agent's own, detached from it.
    """
    process = processes.get(pid)
    born, owner = process.start_ticks(), process.owner()
    ancestors = _ancestors(processes, pid)
    for other in walk.like(process.command_line()):
        if other == pid or other in ancestors:
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
    pids = cgroups.unit_pids(cgroupfs, unit)
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
