"""Reading processes from /proc: the few files that cost microseconds whatever the size.

Never ``smaps``, ``smaps_rollup`` or ``pagemap``: those walk the target's page tables under its
lock and stall it. Formats: proc(5), Documentation/filesystems/proc.rst.

A process is read through a descriptor of its directory. The kernel binds that to the process,
not to its number: once the process is over, every read through it fails, even when the pid is
in use again. So facts read through one ``Process`` are facts of one life.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from exporter.errors import CannotTell, ProcessGone

_CHUNK_BYTES = 8192
_CMDLINE_BYTES = 32768
_CLOCK_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_GONE = (FileNotFoundError, ProcessLookupError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/<pid>/stat tells; ``start_ticks`` is clock ticks from boot to its start."""

    parent_pid: int
    cpu_seconds: float
    threads: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class Memory:
    """VmRSS, RssAnon and VmSwap; the latter two are None on kernels that do not tell them."""

    resident_bytes: int
    anonymous_bytes: int | None
    swap_bytes: int | None


class Process:
    """One process, held by its directory in /proc until closed."""

    __slots__ = ("_directory", "_sized_fd_directory", "pid")

    def __init__(self, root: str, pid: int, *, sized_fd_directory: bool) -> None:
        self.pid = pid
        self._sized_fd_directory = sized_fd_directory
        try:
            self._directory = os.open(f"{root}/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except _GONE as error:
            raise ProcessGone(f"no process {pid}") from error
        except OSError as error:
            raise CannotTell(f"process {pid} cannot be opened: {error.strerror}") from error

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.close(self._directory)

    def stat(self) -> Stat:
        """Return its parent, CPU time, threads and start. Raises ProcessGone for a zombie."""
        text = self._read("stat")
        # The name stands in brackets and may itself hold brackets, spaces and newlines.
        fields = text[text.rfind(b")") + 2 :].split()
        try:
            state, threads = fields[0], int(fields[17])
            if state in b"ZX" and threads <= 1:
                raise ProcessGone(f"process {self.pid} is a zombie")
            return Stat(
                parent_pid=int(fields[1]),
                cpu_seconds=(int(fields[11]) + int(fields[12])) / _CLOCK_TICKS_PER_SECOND,
                threads=threads,
                start_ticks=int(fields[19]),
            )
        except (IndexError, ValueError) as error:
            raise CannotTell(f"/proc/{self.pid}/stat is not as expected") from error

    def memory(self) -> Memory:
        """Return its memory. Raises CannotTell for a process without any (a kernel thread)."""
        status = self._read("status")
        resident_bytes = _bytes_after(b"\nVmRSS:", status)
        if resident_bytes is None:
            self.stat()  # raises ProcessGone when it became a zombie since
            raise CannotTell(f"process {self.pid} has no memory of its own (a kernel thread?)")
        return Memory(
            resident_bytes=resident_bytes,
            anonymous_bytes=_bytes_after(b"\nRssAnon:", status),
            swap_bytes=_bytes_after(b"\nVmSwap:", status),
        )

    def command_line(self) -> str:
        """Return its arguments, joined by spaces; empty for zombies and kernel threads.

        Bytes that are not UTF-8 are kept as surrogate escapes.
        """
        words = self._read("cmdline", most=_CMDLINE_BYTES).rstrip(b"\0").split(b"\0")
        return os.fsdecode(b" ".join(words))

    def open_fds(self) -> int | None:
        """Return how many file descriptors it has open, None where we may not know."""
        try:
            if self._sized_fd_directory:
                return os.stat("fd", dir_fd=self._directory).st_size
            directory = os.open("fd", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._directory)
        except PermissionError:
            return None
        except OSError as error:
            raise ProcessGone(f"process {self.pid} is over") from error
        try:
            return len(os.listdir(directory))
        finally:
            os.close(directory)

    def children(self) -> list[int]:
        """Return the pids of its children (of all its threads)."""
        pids: list[int] = []
        seen = False
        for thread in self._threads():
            try:
                pids += map(int, self._read(f"task/{thread}/children").split())
                seen = True
            except ProcessGone:
                continue  # this thread has ended
        if not seen:
            self.stat()  # raises ProcessGone when it was the process that ended
            raise CannotTell("the kernel has no /proc/<pid>/task/<tid>/children")
        return pids

    def _threads(self) -> list[str]:
        try:
            directory = os.open("task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._directory)
        except OSError as error:
            raise ProcessGone(f"process {self.pid} is over") from error
        try:
            return os.listdir(directory)
        except OSError as error:
            raise ProcessGone(f"process {self.pid} is over") from error
        finally:
            os.close(directory)

    def _read(self, name: str, most: int = 1 << 20) -> bytes:
        """Return the file ``name``, or its first ``most`` bytes and a bit."""
        try:
            file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
            try:
                content = chunk = os.read(file, _CHUNK_BYTES)
                while chunk and len(content) < most:
                    chunk = os.read(file, _CHUNK_BYTES)
                    content += chunk
            finally:
                os.close(file)
        except _GONE as error:
            raise ProcessGone(f"process {self.pid} is over") from error
        except OSError as error:
            raise CannotTell(f"/proc/{self.pid}/{name} cannot be read: {error.strerror}") from error
        return content


class Procfs:
    """A mounted procfs: this host's /proc, another's mounted elsewhere, or a recorded tree."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._sized_fd_directory = _tells_number_of_fds(root)

    def open(self, pid: int) -> Process:
        """Return the process ``pid``, to be closed. Raises ProcessGone or CannotTell."""
        return Process(self._root, pid, sized_fd_directory=self._sized_fd_directory)

    def descendants(self, pid: int) -> list[int]:
        """Return the pids of all that descend from ``pid``, found from parent to child.

        Costs what the tree costs, not what the host does. Raises ProcessGone when ``pid`` is
        over; descendants that end meanwhile are left out.
        """
        with self.open(pid) as process:
            found = process.children()
        for child in found:  # grows as it goes
            try:
                with self.open(child) as process:
                    found += process.children()
            except ProcessGone:
                continue
        return found

    def pids(self) -> Iterator[int]:
        """Yield the pids of the host: a walk whose cost grows with the host."""
        try:
            names = os.listdir(self._root)
        except OSError as error:
            raise CannotTell(f"{self._root} cannot be read: {error.strerror}") from error
        return (int(name) for name in names if name.isascii() and name.isdigit())

    def shows_all_processes(self) -> bool:
        """Return whether absence proves anything: under hidepid=2 not even pid 1 is seen."""
        return os.path.isdir(f"{self._root}/1")

    def uptime(self) -> float:
        """Return the seconds since boot: the clock that process start times are measured by."""
        try:
            return float(Path(self._root, "uptime").read_bytes().split()[0])
        except (OSError, IndexError, ValueError) as error:
            raise CannotTell(f"{self._root}/uptime cannot be read") from error

    def boot_time(self) -> int:
        """Return the unix time of boot, in whole seconds, as the kernel tells it now."""
        try:
            content = Path(self._root, "stat").read_bytes()
        except OSError as error:
            raise CannotTell(f"{self._root}/stat cannot be read: {error.strerror}") from error
        for line in content.split(b"\n"):
            if line.startswith(b"btime "):
                return int(line.split()[1])
        raise CannotTell(f"{self._root}/stat has no btime")


def seconds_since_boot(start_ticks: int) -> float:
    """Return ``start_ticks`` (field 22 of stat) in seconds."""
    return start_ticks / _CLOCK_TICKS_PER_SECOND


def _bytes_after(key: bytes, status: bytes) -> int | None:
    """Return the value of a line of /proc/<pid>/status; a newline in a name is escaped there."""
    start = status.find(key)
    if start < 0:
        return None
    return int(status[start + len(key) : status.index(b" kB", start)]) * 1024


def _tells_number_of_fds(root: Path) -> bool:
    """Return whether the size of /proc/<pid>/fd is its number of entries (Linux 6.2 and later).

    Where it is, the count costs one stat, also of a target with 100,000 descriptors, and asks
    for no privilege. Tried on ourselves: older kernels say 0, and a recorded tree has no self.
    """
    own = root / "self" / "fd"
    try:
        # Listing opens a descriptor of its own, and other threads may open some between the two.
        return 0 < own.stat().st_size <= len(os.listdir(own)) + 64
    except OSError:
        return False
