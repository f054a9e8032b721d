"""``--check-database`` says what a start would do, and does nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from demo.stack.postgres import Postgres
from demo.stack.responder import lonely
from memleash_responder.adapters.database.migrations import NEWEST_VERSION
from tests.integration.database.conftest import Start
from tests.integration.database.test_upgrades import postgres_of_version_1, sqlite_of_version_1

pytestmark = pytest.mark.integration

EMPTY = f"it is empty; a start makes the tables of version {NEWEST_VERSION}, and can be written"
OLD = f"it has version 1; a start brings it to version {NEWEST_VERSION}"

Check = Callable[[str], tuple[int, str]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Run the program with the flag on a database URL; return its exit code and its last line."""
    folder = tmp_path / "checked"
    folder.mkdir()

    def run(url: str) -> tuple[int, str]:
        file = folder / "responder.yml"
        file.write_text(yaml.safe_dump(lonely(folder, url)), encoding="utf-8")
        program = Path(sys.executable).parent / "memleash-responder"
        done = subprocess.run(
            [program, f"--config.file={file}", "--check-database"],
            check=False,
            capture_output=True,
            text=True,
        )
        *_, line = (done.stderr + done.stdout).splitlines()
        return done.returncode, line

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*.db*")}


def test_a_file_that_is_not_there_is_not_made(check: Check, tmp_path: Path) -> None:
    code, line = check(f"sqlite:///{tmp_path / 'new.db'}")
    assert (code, contents(tmp_path)) == (0, {})
    assert EMPTY in line


def test_an_old_file_stays_as_it_is(check: Check, tmp_path: Path) -> None:
    url = sqlite_of_version_1(tmp_path / "old.db")
    before = contents(tmp_path)
    code, line = check(url)
    assert (code, contents(tmp_path)) == (0, before)
    assert OLD in line


def test_a_file_in_use_is_left_to_its_responder(check: Check, start: Start, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'used.db'}"
    one = start(url)
    code, line = check(url)
    assert code == 0
    assert f"it has version {NEWEST_VERSION}; a start changes nothing" in line
    assert "a responder runs on it" in line
    assert one.status("/-/ready") == 200


def test_another_programs_file_is_an_error(check: Check, tmp_path: Path) -> None:
    (tmp_path / "some.db").write_text("# a configuration\n" * 100)
    before = contents(tmp_path)
    code, line = check(f"sqlite:///{tmp_path / 'some.db'}")
    assert (code, contents(tmp_path)) == (1, before)
    assert "damaged, or not a SQLite database" in line


def test_postgresql_is_said_and_not_changed(check: Check, postgres: Postgres) -> None:
    tables = "SELECT count(*) FROM pg_class WHERE relname LIKE 'memleash%'"
    code, line = check(postgres.url)
    assert (code, postgres.query(tables)) == (0, "0")
    assert EMPTY in line
    postgres_of_version_1(postgres)
    before = postgres.query(tables)
    code, line = check(postgres.url)
    assert (code, postgres.query(tables)) == (0, before)
    assert f"{OLD}, and can be written" in line


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        ("ALTER ROLE memleash SET default_transaction_read_only = on", "read-only transaction"),
        ("REVOKE CREATE ON DATABASE memleash FROM memleash, PUBLIC", "permission denied"),
        ("CREATE TABLE dashboards (id int)", "another program's"),
        ("CREATE TABLE memleash_schema (version int); INSERT INTO memleash_schema VALUES (9)", "9"),
    ],
)
def test_what_a_start_would_end_with_is_an_error(
    check: Check, postgres: Postgres, harm: str, why: str
) -> None:
    postgres.query(
        "ALTER DATABASE memleash OWNER TO postgres; GRANT ALL ON SCHEMA public TO PUBLIC"
    )
    postgres.query("GRANT CREATE ON DATABASE memleash TO memleash")
    postgres.query(f"{harm}; GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC")
    code, line = check(postgres.url)
    assert code == 1
    assert "cannot be used" in line
    assert why in line
