"""Busy markers on disk: which files of an agent's directory count now."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from exporter.adapters.procfs import Procfs
from exporter.decisions import markers
from exporter.decisions.markers import Marker
from exporter.errors import CannotTell, ProcessGone

_MAX_BYTES = 65536

log = logging.getLogger(__name__)


def busy_since(directory: Path, procfs: Procfs, now: float) -> float | None:
    """Return when (unix time) the oldest live marker in ``directory`` was written, None if none.

    No directory means that nobody ever left a marker: idle. Raises CannotTell.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotTell(f"{directory} cannot be read: {error.strerror}") from error
    moments = []
    for name in names:
        marker = None if name.startswith(".") else _read(directory / name)
        if marker and markers.is_live(marker, now, _start_ticks(procfs, marker.pid)):
            moments.append(marker.written_at)
    return min(moments, default=None)


def _read(file: Path) -> Marker | None:
    """Return the marker in ``file``, None when it is no regular file or has just gone.

    Content that makes no sense still is a sign that somebody works: it counts until it is too
    old, and the log says so. Neither a symlink nor a pipe left there can lead us astray.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if os.path.islink(file):
            return None
        raise CannotTell(f"{file} cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        content = os.read(descriptor, _MAX_BYTES)
    finally:
        os.close(descriptor)
    try:
        return markers.parse(content, status.st_mtime)
    except ValueError as error:
        log.debug("busy marker not understood", extra={"file": file, "problem": error})
        return Marker(status.st_mtime)


def _start_ticks(procfs: Procfs, pid: int | None) -> int | None:
    if pid is None:
        return None
    try:
        with procfs.open(pid) as process:
            return process.stat().start_ticks
    except ProcessGone:
        return None
