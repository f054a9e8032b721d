"""SQLite on a full disk, locked, on a file system that turned read-only: 503, and on again."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from demo.stack.processes import ProgramFailed, wait_until
from demo.stack.responder import Responder, alert
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.migrations import upgrade
from memleash_responder.adapters.database.schema import flags
from tests.integration.database.conftest import Start

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
        assert one.metric("memleash_responder_database_up") == 0
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


def make(database: Path) -> None:
    """Make a database as the responder does, with something in it."""
    made = Database(f"sqlite:///{database}")
    made.hold()
    upgrade(made)
    with made.write() as connection:
        for number in range(200):
            made.upsert(
                connection, flags, {"name": f"flag-{number}"}, {"value": "x" * 500, **UNIMPORTANT}
            )
    made.close()


UNIMPORTANT = {"changed_at": 0.0, "changed_by": "test"}


def text_file(file: Path) -> None:
    file.write_text("# a configuration, by a slip of the pen\n" * 100)


def other_programs(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE dashboards (id INTEGER)")


def other_programs_by_its_mark(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA application_id = 1196444487")


def truncated(file: Path) -> None:
    make(file)
    with file.open("r+b") as database:
        database.truncate(file.stat().st_size // 2)


def scribbled_over(file: Path) -> None:
    make(file)
    with file.open("r+b") as database:
        database.seek(8192)
        database.write(b"\xff" * 8192)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (text_file, "damaged, or not a SQLite database: file is not a database"),
        (truncated, "damaged, or not a SQLite database"),
        (scribbled_over, "damaged, or not a SQLite database"),
        (other_programs, "it is another program's (its tables: dashboards)"),
        (other_programs_by_its_mark, "it is another program's"),
        (Path.mkdir, "Is a directory"),
    ],
)
def test_a_file_that_cannot_be_a_database_ends_the_start_with_one_message(
    start: Start, tmp_path: Path, damage: Callable[[Path], None], why: str
) -> None:
    """Seen: a traceback of SQLAlchemy's, or tables of ours in another program's file."""
    database = tmp_path / "some.db"
    damage(database)
    before = b"" if database.is_dir() else database.read_bytes()
    with pytest.raises(ProgramFailed) as failed:
        start(f"sqlite:///{database}")
    assert "ended with code 1" in str(failed.value)
    (line,) = (tmp_path / "responder.log").read_text(encoding="utf-8").splitlines()
    assert line.startswith(f"memleash-responder: the database sqlite:///{database} cannot be used")
    assert why in line
    assert database.is_dir() or database.read_bytes() == before, "it was not touched"


def test_tables_of_another_version_end_the_start_with_one_message(
    start: Start, tmp_path: Path
) -> None:
    database = tmp_path / "some.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE memleash_restarts (id TEXT)")
    with pytest.raises(ProgramFailed, match="ended with code 1"):
        start(f"sqlite:///{database}")
    (line,) = (tmp_path / "responder.log").read_text(encoding="utf-8").splitlines()
    assert "cannot be brought to version 2, and stay as they were: no such column" in line


def test_a_file_that_may_not_be_written_ends_the_start_with_one_message(
    start: Start, tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "tmpfs") as disk:
        make(disk / "responder.db")
        subprocess.run([*_AS_ROOT, "mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(ProgramFailed, match="Read-only file system"):
            start(f"sqlite:///{disk / 'responder.db'}")
    (line,) = (tmp_path / "responder.log").read_text(encoding="utf-8").splitlines()
    assert line.startswith("memleash-responder: the database ")


def deleted(file: Path) -> None:
    file.unlink()


def replaced(file: Path) -> None:
    make(file.with_suffix(".other"))
    file.with_suffix(".other").replace(file)


def overwritten(file: Path) -> None:
    with file.open("r+b") as database:
        database.write(b"not a database any more" * 1000)


def emptied(file: Path) -> None:
    with file.open("r+b") as database:
        database.truncate(0)


def by_another_program(file: Path) -> None:
    other = file.with_suffix(".other")
    other_programs(other)
    with file.open("r+b") as database:
        database.write(other.read_bytes())


@pytest.mark.parametrize("harm", [deleted, replaced, overwritten, emptied, by_another_program])
def test_a_file_that_is_not_there_any_more_answers_503_and_says_so(
    start: Start, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """Seen: 202 for alerts that went into a file that nobody would find again."""
    database = tmp_path / "responder.db"
    one = start(f"sqlite:///{database}")
    assert one.tell(alert(1)) == 202
    assert one.metric("memleash_responder_database_up") == 1
    wait_until("the alert in the record", lambda: recorded(database) == 1)
    harm(database)
    is_red(one)
    assert one.status("/-/healthy") == 200
    assert one.metric("memleash_responder_database_up") == 0
    assert "restart the responder" in one.program.log.read_text(encoding="utf-8")


def itself(file: Path, _: Path) -> Path:
    return file


def by_symbolic_link(file: Path, folder: Path) -> Path:
    (folder / "link.db").symlink_to(file)
    return folder / "link.db"


def by_hard_link(file: Path, folder: Path) -> Path:
    (folder / "link.db").hardlink_to(file)
    return folder / "link.db"


def by_linked_folder(file: Path, folder: Path) -> Path:
    (folder / "linked").symlink_to(file.parent, target_is_directory=True)
    return folder / "linked" / file.name


@pytest.mark.parametrize("way", [itself, by_symbolic_link, by_hard_link, by_linked_folder])
def test_a_second_responder_on_the_same_file_is_refused(
    start: Start, tmp_path: Path, way: Callable[[Path, Path], Path]
) -> None:
    """Seen: by a link it was let in, since the lock had the name of the path."""
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    database = tmp_path / "data" / "responder.db"
    one = start(f"sqlite:///{database}")
    with pytest.raises(ProgramFailed, match="is another responder's; several need PostgreSQL"):
        start(f"sqlite:///{way(database, tmp_path / 'elsewhere')}")
    assert one.tell(alert(1)) == 202
    one.program.kill()
    start(f"sqlite:///{database}")  # what was killed holds nothing


def test_a_start_that_fails_half_way_ends_with_its_reason(start: Start, tmp_path: Path) -> None:
    """Seen: the web server's threads kept the process, its port and its lock for ever."""
    database = tmp_path / "responder.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE VIEW workflow_status AS SELECT 'not a table of DBOS'")
    with pytest.raises(ProgramFailed) as failed:
        start(f"sqlite:///{database}")
    assert "ended with code 1" in str(failed.value)
    (line,) = (tmp_path / "responder.log").read_text(encoding="utf-8").splitlines()
    assert line.startswith(f"memleash-responder: the database sqlite:///{database} cannot be used")
    assert "its workflow tables" in line


def test_an_only_responder_shows_no_sign_of_life_to_nobody(start: Start, tmp_path: Path) -> None:
    """Seen: twice a second it took a lease that nobody else could want."""
    database = tmp_path / "responder.db"
    one = start(f"sqlite:///{database}")
    kept = 'memleash_responder_failures_total{part="synchronize_mutes"}'
    wait_until("the keeper to have worked", lambda: one.metric(kept) >= 1)
    with closing(sqlite3.connect(database)) as connection:
        for table in ("memleash_replicas", "memleash_leases"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
