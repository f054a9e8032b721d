"""Files that say "busy" by being there: memleash's own markers, and what agents leave themselves.

Whatever has a matching name in the directory counts, except for names that begin with a dot. Only
regular files are opened; anything else (a link, pipe, socket, device or directory) and a file
that cannot be read count by their presence, as content that makes no sense does.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from memleash_exporter.adapters.processes import Processes
from memleash_exporter.decisions import markers
from memleash_exporter.decisions.markers import Marker
from memleash_exporter.errors import CannotTell, ProcessGone

MOST_FILES = 1000
"""How many are looked at: what one directory costs a scrape has an end."""

_MAX_BYTES = 65536

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MarkerFiles:
    """Which files of which directory count, for how long, and how their content is read.

    ``parse`` takes a file's content and modification time, and raises ValueError for content that
    it does not understand.
    """

    directory: Path
    pattern: str = "*"
    parse: Callable[[bytes, float], Marker] = markers.parse
    max_age_seconds: float = markers.MAX_AGE_SECONDS


def busy_since(files: MarkerFiles, processes: Processes, now: float) -> float | None:
    """Return since when (unix time) the oldest live file of ``files`` counts, None if none.

    No directory means that nobody ever left a file there: idle. Raises CannotTell.
    """
    names = _names(files.directory)
    moments = []
    for name in names[:MOST_FILES]:
        if name.startswith(".") or not fnmatchcase(name, files.pattern):
            continue
        marker = _read(files.directory / name, files.parse)
        if marker and _is_live(marker, files.max_age_seconds, processes, now):
            moments.append(min(marker.written_at, now))
    if not moments and len(names) > MOST_FILES:
        raise CannotTell(
            f"{files.directory} holds more than {MOST_FILES} files, and none so far counts"
        )
    return min(moments, default=None)


def _names(directory: Path) -> list[str]:
    """Return the names in ``directory``: all, or one more than are looked at."""
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in itertools.islice(entries, MOST_FILES + 1)]
    except FileNotFoundError:
        if os.path.islink(directory):
            raise CannotTell(f"{directory} is a link that leads nowhere") from None
        return []
    except OSError as error:
        raise CannotTell(f"{directory} cannot be read: {error.strerror}") from error


def _read(file: Path, parse: Callable[[bytes, float], Marker]) -> Marker | None:
    """Return the marker ``file``, None when it has just gone. Raises CannotTell."""
    try:
        status = os.lstat(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotTell(f"{file} cannot be looked at: {error.strerror}") from error
    try:
        return parse(_content(file, status), status.st_mtime)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.debug("busy marker not understood", extra={"file": file, "problem": error})
        return Marker(status.st_mtime)


def _content(file: Path, status: os.stat_result) -> bytes:
    """Return what the regular ``file`` holds. Raises OSError or ValueError.

    Another kind of file is not opened, because opening a device may do something. One that took
    the place of a regular file in the meantime can neither hold us up nor lead us elsewhere.
    """
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        content = os.read(descriptor, _MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"over {_MAX_BYTES} bytes")
    return content


def _is_live(marker: Marker, max_age: float, processes: Processes, now: float) -> bool:
    try:
        return markers.is_live(marker, now, _start_ticks(processes, marker.pid), max_age)
    except CannotTell:  # a process that cannot be looked at is not known to be over
        return markers.is_live(dataclasses.replace(marker, pid=None), now, None, max_age)


def _start_ticks(processes: Processes, pid: int | None) -> int | None:
    """Return the start of the process ``pid``, None when it is over. Raises CannotTell."""
    if pid is None:
        return None
    try:
        return processes.get(pid).start_ticks()
    except ProcessGone:
        if processes.shows_all_processes():
            return None
        raise CannotTell(f"process {pid} may be hidden (hidepid=2)") from None
