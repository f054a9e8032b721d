"""SQLite on a full disk, locked, on a file system that turned read-only: 503, and on again."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from demo.stack.processes import ProgramFailed, wait_until
from tests.integration.database.conftest import Start
from tests.support.responder import Responder, alert

_AS_ROOT = [] if os.getuid() == 0 else ["sudo", "-n"]


@contextmanager
def mounted(folder: Path, *mount: str) -> Iterator[Path]:
    """Mount a file system of the test's own on ``folder``."""
    folder.mkdir()
    subprocess.run([*_AS_ROOT, "mount", *mount, str(folder)], check=True)
    try:
        subprocess.run([*_AS_ROOT, "chmod", "777", str(folder)], check=True)
        yield folder
    finally:
        subprocess.run([*_AS_ROOT, "umount", "--lazy", str(folder)], check=True)


def recorded(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM memleash_alerts").fetchone()
        return int(count)


def is_red(one: Responder) -> None:
    assert one.tell(alert(99)) == 503
    assert one.status("/-/ready") == 503
    assert one.metric('memleash_responder_notifications_total{answer="unavailable"}') >= 1
    assert "the database sqlite" in one.program.log.read_text(encoding="utf-8")


def is_green_again(one: Responder, database: Path, *, records: int) -> None:
    wait_until("the responder to be ready", lambda: one.status("/-/ready") == 200)
    wait_until("its notifications to be taken", lambda: one.tell(alert(2)) == 202)
    wait_until("the alerts in the record", lambda: recorded(database) == records)


def test_a_full_disk_answers_503_until_there_is_room(start: Start, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=8m", "tmpfs") as disk:
        database = disk / "responder.db"
        one = start(f"sqlite:///{database}")
        assert one.tell(alert(1)) == 202
        wait_until("the alert in the record", lambda: recorded(database) == 1)
        ballast = disk / "ballast"
        fill(ballast)
        big = [alert(number, filler="x" * 1000) for number in range(1000, 3000)]
        assert one.tell(*big) == 503
        is_red(one)
        ballast.unlink()
        is_green_again(one, database, records=2)
        one.program.stop()


def fill(file: Path) -> None:
    """Write until the disk has no room for a page."""
    with file.open("wb", buffering=0) as ballast:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while ballast.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue


def test_a_locked_database_answers_503_until_the_lock_is_gone(start: Start, tmp_path: Path) -> None:
    database = tmp_path / "responder.db"
    one = start(f"sqlite:///{database}")
    assert one.tell(alert(1)) == 202
    wait_until("the alert in the record", lambda: recorded(database) == 1)
    with closing(sqlite3.connect(database, isolation_level=None, timeout=60)) as locker:
        locker.execute("BEGIN EXCLUSIVE")
        is_red(one)
        locker.execute("ROLLBACK")
    is_green_again(one, database, records=2)


def test_a_file_system_that_turns_read_only_loses_nothing(start: Start, tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["/sbin/mkfs.ext4", "-q", image], check=True)
    with mounted(tmp_path / "disk", "-o", "loop", str(image)) as disk:
        one = start(f"sqlite:///{disk / 'responder.db'}")
        assert one.tell(alert(1)) == 202
        wait_until("the alert in the record", lambda: recorded(disk / "responder.db") == 1)
        # What the kernel does to a disk that fails: files stay open, and nothing can be written.
        abort = ["mount", "-o", "remount,abort", str(disk)]
        subprocess.run([*_AS_ROOT, *abort], check=True)
        is_red(one)
        one.program.stop()
    with mounted(tmp_path / "again", "-o", "loop", str(image)) as disk:
        assert recorded(disk / "responder.db") == 1
        again = start(f"sqlite:///{disk / 'responder.db'}")
        is_green_again(again, disk / "responder.db", records=2)
        again.program.stop()


def test_a_database_that_cannot_be_made_ends_the_start_with_one_message(
    start: Start, tmp_path: Path
) -> None:
    nowhere = tmp_path / "missing" / "responder.db"
    with pytest.raises(ProgramFailed) as failed:
        start(f"sqlite:///{nowhere}")
    said = str(failed.value)
    assert "ended with code 1" in said
    assert f"memleash-responder: the database sqlite:///{nowhere} cannot be used" in said
    assert "Traceback" not in said


def test_a_second_responder_on_the_same_file_is_refused(start: Start, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'responder.db'}"
    one = start(database)
    with pytest.raises(ProgramFailed, match="is another responder's; several need PostgreSQL"):
        start(database)
    assert one.tell(alert(1)) == 202
    one.program.kill()
    start(database)  # what was killed holds nothing


def test_a_start_that_fails_half_way_ends_with_its_reason(start: Start, tmp_path: Path) -> None:
    """Seen: the web server's threads kept the process, its port and its lock for ever."""
    database = tmp_path / "responder.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE VIEW workflow_status AS SELECT 'not a table of DBOS'")
    with pytest.raises(ProgramFailed) as failed:
        start(f"sqlite:///{database}")
    assert "ended with code 1" in str(failed.value)
    assert "DBOS failed to launch" in (tmp_path / "responder.log").read_text(encoding="utf-8")
