"""One life of a process: who it is, and whether it still is the same one.

A pid is used again after its process is gone; (pid, start time) is not.
"""

import os
import re
import subprocess
import typing


class Gone(Exception):
    """The process is not there any more, or its pid belongs to another life."""


class Process(typing.NamedTuple):
    """A process as it was found."""

    pid: int
    start_ticks: int
    """Clock ticks from boot to its start: field 22 of /proc/<pid>/stat."""

    def path(self, *parts: str) -> str:
        """Return a path under /proc/<pid>."""
        return os.path.join("/proc", str(self.pid), *parts)

    def is_alive(self) -> bool:
        """Return whether this life still runs."""
        return _start_ticks(self.pid) == self.start_ticks

    def check(self) -> None:
        """Raise Gone unless this life still runs."""
        if not self.is_alive():
            raise Gone(f"process {self.pid} is gone")

    def read(self, *parts: str) -> str:
        """Return a file of this life. Raises Gone, or OSError when it may not be read."""
        try:
            with open(self.path(*parts), encoding="utf-8", errors="replace") as file:
                text = file.read()
        except (FileNotFoundError, ProcessLookupError):
            self.check()
            raise
        self.check()
        return text

    def status(self, name: str) -> str:
        """Return one value of /proc/<pid>/status, empty when the kernel gives none."""
        found = re.search(rf"^{name}:\s*(.*)$", self.read("status"), re.MULTILINE)
        return found.group(1) if found else ""


def find(pid: int) -> Process:
    """Return the process that has ``pid`` now. Raises Gone."""
    ticks = _start_ticks(pid)
    if ticks is None:
        raise Gone(f"no process {pid}")
    return Process(pid, ticks)


def started_at(process: Process) -> float:
    """Return the unix time ``process`` started, as the exporter reckons it."""
    with open("/proc/stat", encoding="ascii") as file:
        boot = re.search(r"^btime (\d+)$", file.read(), re.MULTILINE)
    if boot is None:
        raise OSError("/proc/stat has no btime")
    return int(boot.group(1)) + process.start_ticks / os.sysconf("SC_CLK_TCK")


def discover(kind: str, what: str) -> int:
    """Return the pid of the agent's main process: by systemd_unit, pidfile, cmdline or pid.

    Raises Gone when there is none, or more than one.
    """
    return _DISCOVERIES[kind](what)


def _unit_pid(unit: str) -> int:
    try:
        shown = subprocess.run(
            ["systemctl", "show", "--property", "MainPID", "--", unit],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=10,
            check=False,
        ).stdout.decode()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Gone(f"systemctl cannot be asked for {unit}: {error}") from error
    pid = re.search(r"^MainPID=([1-9]\d*)$", shown, re.MULTILINE)
    if pid is None:
        raise Gone(f"unit {unit} has no main process")
    return int(pid.group(1))


def _pidfile_pid(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read(64))
    except (OSError, ValueError) as error:
        raise Gone(f"pidfile {path} names no process: {error}") from error


def _cmdline_pid(pattern: str) -> int:
    wanted = re.compile(pattern)
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            words = _read_bytes(f"/proc/{entry}/cmdline").split(b"\0")
            if wanted.search(b" ".join(words).decode("utf-8", "replace").strip()):
                found.append(int(entry))
    mains = [pid for pid in found if _parent(pid) not in found]
    if len(mains) != 1:
        raise Gone(f"{len(mains)} processes match {pattern!r}; it must be one")
    return mains[0]


_DISCOVERIES: typing.Dict[str, typing.Callable[[str], int]] = {
    "systemd_unit": _unit_pid,
    "pidfile": _pidfile_pid,
    "cmdline": _cmdline_pid,
    "pid": int,
}


def _start_ticks(pid: int) -> typing.Optional[int]:
    fields = _stat_fields(pid)
    return int(fields[19]) if fields and fields[0] not in (b"Z", b"X") else None


def _parent(pid: int) -> typing.Optional[int]:
    fields = _stat_fields(pid)
    return int(fields[1]) if fields else None


def _stat_fields(pid: int) -> typing.List[bytes]:
    """Return the fields after the command's name, which may hold blanks and brackets itself."""
    return _read_bytes(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def _read_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
