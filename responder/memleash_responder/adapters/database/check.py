"""What a start would do with a database, without doing it."""

from __future__ import annotations

import os
from pathlib import Path

from memleash_responder.adapters.database import sqlite_file
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.migrations import NEWEST_VERSION, rehearse


def check(url: str) -> str:
    """Return what a start would do with the database at ``url``, for people; nothing is changed.

    Raises DatabaseUnavailable for what a start would end with.
    """
    database = Database(url, pool_size=1, as_found=True)
    try:
        held = database.is_sqlite and _is_held(database)
        found = None if _is_empty(database) else rehearse(database)
    finally:
        database.close()
    return f"{database.name}: {_said(found)}, and can be written{_HELD if held else ''}"


_HELD = "; a responder runs on it, and a second one would be refused"


def _said(found: int | None) -> str:
    if found is None:
        return f"it is empty; a start makes the tables of version {NEWEST_VERSION}"
    if found < NEWEST_VERSION:
        return f"it has version {found}; a start brings it to version {NEWEST_VERSION}"
    return f"it has version {found}; a start changes nothing"


def _file(database: Database) -> Path:
    return Path(database.url.database or "")


def _is_empty(database: Database) -> bool:
    """Whether it is a SQLite file that a start would make: opening it here would make it, too."""
    file = _file(database)
    return database.is_sqlite and (
        not file.exists() or (file.is_file() and not file.stat().st_size)
    )


def _is_held(database: Database) -> bool:
    """Return whether a responder runs on the file. Raises DatabaseUnavailable."""
    file = _file(database)
    written = file if file.exists() else file.parent
    if not os.access(written, os.W_OK):
        raise database.unavailable(f"{written} cannot be written by this user")
    if _is_empty(database):
        return False
    try:
        return sqlite_file.look(file)
    except sqlite_file.UnusableFile as error:
        raise database.unavailable(str(error)) from error
