"""The file below SQLite: whose it is, and whether it is still the one that was opened.

One descriptor is kept for the life of the process. To close any descriptor of the file would give
up SQLite's own locks on it, which the kernel keeps by process and file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

_MAGIC = b"SQLite format 3\0"
_APPLICATION_ID = 0x6D656D6C
"""``meml``, in the file's header: https://www.sqlite.org/fileformat.html, offset 68."""
_APPLICATION_ID_AT = 68
_OURS = "memleash_"
_LOCK_SECONDS = 5


class UnusableFile(Exception):
    """The file cannot be used; the message says why, and what to do."""


class SqliteFile:
    """A database file that this process holds."""

    def __init__(self, file: Path) -> None:
        """Open ``file``, or make it, and keep others from it. Raises UnusableFile.

        The lock is on the file itself, so that a link to it, or another path, leads to the same.
        """
        self._path = file
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UnusableFile(f"{error.strerror}: {file}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnusableFile("it is another responder's; several need PostgreSQL") from error
        except OSError as error:
            raise UnusableFile(f"it cannot be locked: {error.strerror}") from error
        self._claim()

    def _claim(self) -> None:
        """Look that the file is sound, and ours or empty; then mark it as ours.

        The mark is brought into the header at once, where ``check`` reads it, and not left to the
        write-ahead log.
        """
        with _opened(self._path, "rw") as connection:
            if _refuse_unsound(connection) == 0:
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Give the file up, once nothing in this process has it open any more."""
        os.close(self._descriptor)

    def check(self) -> None:
        """Raise UnusableFile when the path does not lead to this file any more, or it is not ours.

        SQLite notices neither: it goes on in a file that nobody will find again.
        """
        try:
            now = self._path.stat()
        except OSError as error:
            raise UnusableFile(f"its file is gone: {error.strerror}; {_RESTART}") from error
        held = os.fstat(self._descriptor)
        if (now.st_dev, now.st_ino) != (held.st_dev, held.st_ino):
            raise UnusableFile(f"its file was replaced by another; {_RESTART}")
        header = os.pread(self._descriptor, _APPLICATION_ID_AT + 4, 0)
        mark = int.from_bytes(header[_APPLICATION_ID_AT:], "big")
        if not header.startswith(_MAGIC) or mark != _APPLICATION_ID:
            raise UnusableFile(f"its file was overwritten; {_RESTART}")


def look(file: Path) -> bool:
    """Return whether a process holds ``file``, and change nothing. Raises UnusableFile.

    It must be called before this process has the file open elsewhere, for it closes a descriptor.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UnusableFile(f"{error.strerror}: {file}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        held = False
    except BlockingIOError:
        held = True
    finally:
        os.close(descriptor)
    with _opened(file, "ro") as connection:
        _refuse_unsound(connection)
    return held


@contextlib.contextmanager
def _opened(file: Path, mode: str) -> Iterator[sqlite3.Connection]:
    url = f"file:{urllib.parse.quote(str(file.absolute()))}?mode={mode}"
    try:
        with contextlib.closing(
            sqlite3.connect(url, uri=True, timeout=_LOCK_SECONDS, isolation_level=None)
        ) as connection:
            yield connection
    except sqlite3.OperationalError as error:
        raise UnusableFile(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise UnusableFile(_damaged(str(error))) from error


def _refuse_unsound(connection: sqlite3.Connection) -> int:
    """Return the file's mark, of a file that is sound, and ours or empty."""
    (marked,) = connection.execute("PRAGMA application_id").fetchone()
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = sorted(name for (name,) in names if not name.startswith("sqlite_"))
    is_ours = not tables or any(name.startswith(_OURS) for name in tables)
    if marked not in (0, _APPLICATION_ID) or not is_ours:
        raise UnusableFile(_foreign(tables))
    (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if sound != "ok":
        raise UnusableFile(_damaged(sound))
    return int(marked)


_RESTART = "put it back, and restart the responder"


def _foreign(tables: list[str]) -> str:
    named = ", ".join(tables[:3]) or "none"
    return (
        f"it is another program's (its tables: {named});"
        " give the responder a file of its own, which it makes itself"
    )


def _damaged(why: str) -> str:
    return (
        f"the file is damaged, or not a SQLite database: {' '.join(why.split())};"
        " restore a backup, or move it away for an empty one"
    )
