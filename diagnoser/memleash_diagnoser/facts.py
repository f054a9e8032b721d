"""What /proc and the cgroup say of a process: plain reading, which costs the agent nothing.

``smaps`` is never read: it makes the kernel walk every page while the agent waits for its lock.
"""

import collections
import itertools
import os
import re
import typing

from . import redact
from .process import Process

Facts = typing.Dict[str, typing.Any]

_CGROUP_FILES = (
    "memory.current",
    "memory.peak",
    "memory.high",
    "memory.max",
    "memory.swap.current",
    "memory.events",
    "memory.stat",
    "memory.pressure",
)
_CGROUP_V1_FILES = (
    "memory.usage_in_bytes",
    "memory.max_usage_in_bytes",
    "memory.limit_in_bytes",
    "memory.failcnt",
    "memory.stat",
)


MOST_LETTERS = 2000
MOST_ENTRIES = 300
"""What the agent itself decides on (arguments, threads, mappings) is cut to so much."""
_CUT = "… (cut)"
_WHO_MAY = "only the agent's own user may, and root with CAP_SYS_PTRACE"


def take(process: Process) -> typing.Tuple[Facts, typing.List[str]]:
    """Return the facts by name, and a line for each that could not be had. Raises Gone."""
    facts: Facts = {}
    notes, refused = [], []
    for name, read in _FACTS:
        try:
            facts[name] = bounded(read(process))
        except PermissionError:
            refused.append(name)
        except (OSError, ValueError, KeyError, IndexError) as error:
            notes.append(f"{name} cannot be read: {error}")
    process.check()
    if refused:
        notes.append(f"{', '.join(refused)} cannot be read: {_WHO_MAY}")
    return facts, notes


def bounded(value: typing.Any) -> typing.Any:
    """Return ``value`` with its texts and its lists cut, whatever the agent put into them."""
    if isinstance(value, str):
        cut = value[: MOST_LETTERS - len(_CUT)] + _CUT
        return value if len(value) <= MOST_LETTERS else cut
    if isinstance(value, dict):
        pairs = itertools.islice(value.items(), MOST_ENTRIES)
        return {bounded(name): bounded(entry) for name, entry in pairs}
    if isinstance(value, (list, tuple)):
        kept = len(value) if len(value) <= MOST_ENTRIES else MOST_ENTRIES - 1
        entries = [bounded(entry) for entry in value[:kept]]
        return entries + [f"and {len(value) - kept} more"] * (kept < len(value))
    return value


def status(process: Process) -> typing.Dict[str, str]:
    """Return /proc/<pid>/status by name."""
    lines = (line.partition(":") for line in process.read("status").splitlines())
    return {name: value.strip() for name, _, value in lines}


def memory(process: Process) -> typing.Dict[str, int]:
    """Return the memory lines of status, in bytes."""
    found = status(process)
    return {
        name: int(found[name].split()[0]) * 1024
        for name in ("VmRSS", "RssAnon", "RssFile", "RssShmem", "VmSwap", "VmSize", "VmData")
        if name in found
    }


class Mapping(typing.NamedTuple):
    """One line of /proc/<pid>/maps."""

    start: int
    end: int
    rights: str
    name: str

    @property
    def size_bytes(self) -> int:
        """How much address space it takes."""
        return self.end - self.start


_MAPPING = re.compile(r"(\w+)-(\w+) (\S+) \w+ \S+ \d+\s*(.*)")


def mappings(process: Process) -> typing.List[Mapping]:
    """Return the process's mappings in address order."""
    found = (_MAPPING.match(line) for line in process.read("maps").splitlines())
    return [
        Mapping(int(hit.group(1), 16), int(hit.group(2), 16), hit.group(3), hit.group(4))
        for hit in found
        if hit
    ]


def mapping_sizes(process: Process) -> typing.Dict[str, typing.List[int]]:
    """Return (count, bytes) of the mappings by name and rights; address space, not memory held."""
    sizes: typing.Dict[str, typing.List[int]] = collections.defaultdict(lambda: [0, 0])
    for mapping in mappings(process):
        entry = sizes[f"{mapping.name or '(anonymous)'} {mapping.rights}"]
        entry[0] += 1
        entry[1] += mapping.size_bytes
    return dict(sizes)


def _maps_summary(process: Process) -> Facts:
    kinds: typing.Dict[str, typing.List[int]] = collections.defaultdict(lambda: [0, 0])
    files: typing.Counter[str] = collections.Counter()
    for mapping in mappings(process):
        kind = _mapping_kind(mapping)
        kinds[kind][0] += 1
        kinds[kind][1] += mapping.size_bytes
        if kind == "file":
            files[mapping.name] += mapping.size_bytes
    return {
        "kinds": {kind: {"count": n, "bytes": size} for kind, (n, size) in sorted(kinds.items())},
        "largest_files": dict(files.most_common(10)),
    }


def _mapping_kind(mapping: Mapping) -> str:
    if not mapping.name:
        return "anonymous" if "w" in mapping.rights else "reserved"
    if mapping.name.startswith("["):
        return mapping.name.strip("[]").partition(":")[0]
    if mapping.name.startswith(("/dev/shm", "/memfd:", "/SYSV")):
        return "shared memory"
    return "file"


def _fds(process: Process) -> typing.Dict[str, int]:
    kinds: typing.Counter[str] = collections.Counter()
    for fd in os.listdir(process.path("fd")):
        try:
            kinds[_fd_kind(os.readlink(process.path("fd", fd)))] += 1
        except FileNotFoundError:
            continue
    return dict(kinds.most_common())


def _fd_kind(target: str) -> str:
    if target.startswith("/"):
        deleted = target.endswith(" (deleted)")
        return "device" if target.startswith("/dev/") else "deleted file" if deleted else "file"
    kind, _, rest = target.partition(":")
    return rest.strip("[]") if kind == "anon_inode" else kind


def _threads(process: Process) -> typing.List[typing.Dict[str, str]]:
    found = []
    for tid in sorted(os.listdir(process.path("task")), key=int):
        try:
            state = process.read("task", tid, "stat").rpartition(")")[2].split()
            found.append(
                {
                    "tid": tid,
                    "name": process.read("task", tid, "comm").strip(),
                    "state": state[0],
                    "wchan": _wchan(process, tid),
                    "cpu_ticks": str(int(state[11]) + int(state[12])),
                }
            )
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _wchan(process: Process, tid: str) -> str:
    try:
        return process.read("task", tid, "wchan").strip("0\n") or "-"
    except PermissionError:
        return "?"


def _cgroup(process: Process) -> Facts:
    """Return the memory figures of the unit, from cgroup v2, or v1 where that is mounted."""
    names: typing.Tuple[str, ...]
    for line in process.read("cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            folder, names = "/sys/fs/cgroup" + path, _CGROUP_FILES
        elif "memory" in controllers.split(","):
            folder, names = "/sys/fs/cgroup/memory" + path, _CGROUP_V1_FILES
        else:
            continue
        figures = {name: _figures(os.path.join(folder, name)) for name in names}
        if any(figures.values()):
            return {
                "path": path,
                "figures": {name: value for name, value in figures.items() if value},
            }
    raise KeyError("no memory cgroup that can be seen from here")


def _figures(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read(16384).strip()
    except OSError:
        return ""


def _identity(process: Process) -> Facts:
    return {
        "pid": process.pid,
        "start_ticks": process.start_ticks,
        "command_line": redact.command_line(process.read("cmdline")),
    }


def _program(process: Process) -> Facts:
    return {
        "executable": os.readlink(process.path("exe")),
        "environment": redact.environment(process.read("environ")),
        "working_directory": os.readlink(process.path("cwd")),
    }


_FACTS: typing.Tuple[typing.Tuple[str, typing.Callable[[Process], typing.Any]], ...] = (
    ("identity", _identity),
    ("program", _program),
    ("status", status),
    ("memory_bytes", memory),
    ("limits", lambda process: process.read("limits").splitlines()),
    ("maps", _maps_summary),
    ("open_fds", _fds),
    ("threads", _threads),
    ("cgroup", _cgroup),
)
