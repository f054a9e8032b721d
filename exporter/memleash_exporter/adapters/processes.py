"""The host's processes, read by psutil from the few files that cost microseconds whatever the size.

Never ``memory_full_info``, ``memory_maps`` or anything else that reads ``smaps`` or
``smaps_rollup``: those walk the target's page tables under its lock and stall it. Never psutil's
``children()``, which walks the whole host.

Read here without psutil, since it cannot tell them (proc(5), and test_processes.py):
- the start in clock ticks, which no step of the clock moves; its ``create_time`` is wall clock;
- VmSwap, which psutil has from ``smaps_rollup`` alone;
- the number of descriptors of another user's process, since Linux 6.2 the size of ``fd``;
- the children, from ``task/*/children``, the pid namespaces, and the uptime;
- threads, from the ``status`` that is read for VmSwap: psutil's ``num_threads`` reads it again;
- the command lines of a whole host: psutil's ``process_iter`` reads each process's ``stat`` too and
  keeps an object of it, which takes three times as long, and 7 MiB at 8,000 processes.

psutil knows a process by pid and start. Facts are of one life when ``is_running`` says so after
they were read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from memleash_exporter.errors import CannotTell, ProcessGone

_CHUNK_BYTES = 64 * 1024
_CLOCK_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_OVER = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process takes; None is what the kernel does not tell, or not us."""

    resident_bytes: int
    anonymous_bytes: int
    swap_bytes: int | None
    cpu_seconds: float
    threads: int | None
    open_fds: int | None


class Process:
    """One life of a process: a pid together with its start."""

    __slots__ = ("_folder", "_process", "_sized_fd_folder", "pid")

    def __init__(self, root: str, pid: int, *, sized_fd_folder: bool) -> None:
        self.pid = pid
        self._folder = f"{root}/{pid}"
        self._sized_fd_folder = sized_fd_folder
        with _told(pid):
            self._process = psutil.Process(pid)

    def check(self) -> None:
        """Raise ProcessGone when this life is over: gone, a zombie, or its pid is in use again."""
        with _told(self.pid):
            self._check_alive()
        self.check_pid()

    def check_pid(self) -> None:
        """Raise ProcessGone when its pid is nobody's or another's: all reads so far were of it."""
        with _told(self.pid):
            if not self._process.is_running():
                raise ProcessGone(f"process {self.pid} is over, or its pid is another's by now")

    def start_ticks(self) -> int:
        """Return the clock ticks from boot to its start."""
        with _told(self.pid):
            stat = _content(f"{self._folder}/stat")
            # The name stands in brackets and may itself hold brackets, spaces and newlines.
            ticks = int(stat[stat.rindex(b")") + 2 :].split()[19])
        self.check()  # so that the ticks are of this life
        return ticks

    def usage(self) -> Usage:
        """Return what it takes. Raises CannotTell for one without memory (a kernel thread).

        ``stat`` is read last: what was no zombie by then was none before.
        """
        with _told(self.pid), self._process.oneshot():
            memory, open_fds = self._process.memory_info(), self._open_fds()
            status = _content(f"{self._folder}/status")
            self._check_alive()
            if memory.rss == 0:
                raise CannotTell(f"process {self.pid} has no memory of its own (a kernel thread?)")
            swap_kib, cpu = _number(status, b"\nVmSwap:"), self._process.cpu_times()
            return Usage(
                resident_bytes=memory.rss,
                anonymous_bytes=memory.rss - memory.shared,
                swap_bytes=None if swap_kib is None else swap_kib * 1024,
                cpu_seconds=cpu.user + cpu.system,
                threads=_number(status, b"\nThreads:"),
                open_fds=open_fds,
            )

    def parent_pid(self) -> int:
        """Return the pid of its parent."""
        with _told(self.pid):
            return self._process.ppid()

    def command_line(self) -> str:
        """Return its arguments, joined by spaces; empty for kernel threads and zombies.

        Bytes that are not UTF-8 are kept as surrogate escapes.
        """
        with _told(self.pid):
            return _command_line(self._folder)

    def owner(self) -> tuple[int, int]:
        """Return its user, and how many pid namespaces it is in: more than ours in a container.

        psutil tells no namespaces, and its user takes a second read.
        """
        with _told(self.pid):
            _, _, after = _content(f"{self._folder}/status").partition(b"\nNSpid:")
            return os.stat(self._folder).st_uid, len(after.partition(b"\n")[0].split())

    def resident_bytes(self) -> int:
        """Return its resident memory; 0 for a zombie."""
        with _told(self.pid):
            return self._process.memory_info().rss

    def _open_fds(self) -> int | None:
        """Return how many file descriptors it has open, None where we may not know."""
        try:
            if self._sized_fd_folder:
                return os.stat(f"{self._folder}/fd").st_size
            return self._process.num_fds()
        except (psutil.AccessDenied, PermissionError):
            return None

    def _check_alive(self) -> None:
        """Raise ProcessGone for a zombie, whose memory psutil tells as 0, unless a thread lives."""
        if self._process.status() in _OVER and self._process.num_threads() <= 1:
            raise ProcessGone(f"process {self.pid} is a zombie")


class Processes:
    """The processes of a mounted procfs: this host's /proc, another's, or a recorded tree.

    psutil reads one procfs in the whole program: that of the last one made.
    """

    def __init__(self, procfs: Path) -> None:
        self._root = psutil.PROCFS_PATH = str(procfs)
        self._sized_fd_folder = _tells_number_of_fds(procfs)

    def get(self, pid: int) -> Process:
        """Return the process ``pid``. Raises ProcessGone or CannotTell."""
        return Process(self._root, pid, sized_fd_folder=self._sized_fd_folder)

    def descendants(self, pid: int) -> list[int]:
        """Return the pids of all that descend from ``pid``, found from parent to child.

        Costs what the tree costs, not what the host does. Raises ProcessGone when ``pid`` is
        over; descendants that end meanwhile are left out. Raises CannotTell where one of them
        may be hidden instead: under hidepid=2 that looks the same, and it is listed all the same.
        """
        found = self._children(pid)
        for child in found:  # grows as it goes
            try:
                found += self._children(child)
            except ProcessGone as error:
                if not self.shows_all_processes():
                    raise CannotTell(f"process {child} is over or hidden (hidepid=2)") from error
        return found

    def _children(self, pid: int) -> list[int]:
        """Return the pids of its children (of all its threads)."""
        pids: list[int] = []
        seen = False
        with _told(pid):
            for thread in os.listdir(f"{self._root}/{pid}/task"):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                    pids += map(int, _content(f"{self._root}/{pid}/task/{thread}/children").split())
                    seen = True
        if not seen:
            self.get(pid).check()
            raise CannotTell("the kernel has no /proc/<pid>/task/<tid>/children")
        return pids

    def command_lines(self) -> Iterator[tuple[int, str | None]]:
        """Yield each pid of the host with its command line; None for one that is hidden from us.

        A walk whose cost grows with the host.
        """
        try:
            pids = psutil.pids()
        except OSError as error:
            raise CannotTell(f"{self._root} cannot be read: {error.strerror}") from error
        for pid in pids:
            try:
                yield pid, _command_line(f"{self._root}/{pid}")
            except (FileNotFoundError, ProcessLookupError):
                continue
            except OSError:
                yield pid, None

    def shows_all_processes(self) -> bool:
        """Return whether absence proves anything: under hidepid=2 not even pid 1 is seen."""
        return os.path.isdir(f"{self._root}/1")

    def uptime(self) -> float:
        """Return the seconds since boot: the clock that process start times are measured by."""
        try:
            return float(Path(self._root, "uptime").read_bytes().split()[0])
        except (OSError, IndexError, ValueError) as error:
            raise CannotTell(f"{self._root}/uptime cannot be read") from error

    def boot_time(self) -> float:
        """Return the unix time of boot, in whole seconds, as the kernel tells it now."""
        try:
            return psutil.boot_time()
        except (OSError, RuntimeError, ValueError) as error:
            raise CannotTell(f"the time of boot cannot be read from {self._root}/stat") from error


def seconds_since_boot(start_ticks: int) -> float:
    """Return ``start_ticks`` in seconds."""
    return start_ticks / _CLOCK_TICKS_PER_SECOND


@contextlib.contextmanager
def _told(pid: int) -> Iterator[None]:
    """Tell psutil's errors, and the kernel's, as ProcessGone or CannotTell."""
    try:
        yield
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError) as error:
        raise ProcessGone(f"process {pid} is over") from error
    except psutil.AccessDenied as error:
        raise CannotTell(f"process {pid} cannot be read: Permission denied") from error
    except OSError as error:
        raise CannotTell(f"process {pid} cannot be read: {error.strerror}") from error
    except (IndexError, ValueError) as error:
        raise CannotTell(f"what /proc says of process {pid} is not as expected") from error


def _command_line(folder: str) -> str:
    """Return the arguments of the process in ``folder``, joined by spaces. Raises OSError."""
    arguments = _content(f"{folder}/cmdline").removesuffix(b"\0").replace(b"\0", b" ")
    return arguments.decode("utf-8", "surrogateescape")


def _content(path: str) -> bytes:
    """Return what the file holds. Raises OSError. Without Python's file object: half the time."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = os.read(file, _CHUNK_BYTES)
        part = content
        while part:  # the kernel may give less than is there
            part = os.read(file, _CHUNK_BYTES)
            content += part
        return content
    finally:
        os.close(file)


def _number(status: bytes, key: bytes) -> int | None:
    """Return the number behind ``key`` in /proc/<pid>/status, where no name holds a newline."""
    _, _, after = status.partition(key)
    return int(after.split(None, 1)[0]) if after else None


def _tells_number_of_fds(procfs: Path) -> bool:
    """Return whether the size of /proc/<pid>/fd is its number of entries (Linux 6.2 and later).

    Where it is, the count costs one stat, also of a target with 100,000 descriptors, and asks
    for no privilege. Tried on ourselves: older kernels say 0, and a recorded tree has no self.
    """
    own = procfs / "self" / "fd"
    try:
        # Listing opens a descriptor of its own, and other threads may open some between the two.
        return 0 < own.stat().st_size <= len(os.listdir(own)) + 64
    except OSError:
        return False
