"""A copy that was made as docs/upgrade.md says is whole: a restart goes on from it."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack.processes import wait_until
from demo.stack.replicas import Site, running
from demo.stack.responder import Responder, alert
from demo.stack.tools import REPOSITORY

pytestmark = pytest.mark.integration


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running(tmp_path) as one:
        yield one


def as_documented(program: str, *places: tuple[str, str]) -> None:
    """Run the command of ``program`` on the page, with other files and addresses than there."""
    page = (REPOSITORY / "docs" / "upgrade.md").read_text(encoding="utf-8")
    (command,) = re.findall(rf"^    ({program} .*)$", page, re.MULTILINE)
    for there, here in places:
        assert there in command
        command = command.replace(there, here)
    subprocess.run(shlex.split(command), check=True)


def halted_on(site: Site, database: str) -> Responder:
    """Return a responder that has halted in a restart, with its host held and drained."""
    one = site.replica("first", halt_at="after:step:hold", database=database)
    site.over_the_limit()
    about = alert(1, host=site.stack.layout.host, agent=site.stack.layout.agent)
    assert one.tell(about) == 202
    wait_until("it to halt", site.halted.exists, seen=lambda: one.get("/api/v1/restarts"))
    return one


def goes_on(one: Responder, site: Site) -> None:
    """Wait until the restart has ended well, and was one."""

    def outcomes() -> list[str]:
        return [restart["outcome"] for restart in one.get("/api/v1/restarts")["restarts"]]

    wait_until("the restart", lambda: outcomes() == ["restarted"], seen=outcomes)
    assert site.starts() == 2
    wait_until("the undrain", lambda: site.observer.controller_calls()[-1] == "undrain")


def test_a_restart_goes_on_from_the_copy_of_a_sqlite_file(site: Site, tmp_path: Path) -> None:
    file, copy = tmp_path / "responder.db", tmp_path / "copy.db"
    first = halted_on(site, f"sqlite:///{file}")
    as_documented(
        "sqlite3",
        ("/var/lib/memleash/responder.db", str(file)),
        ("/var/backups/memleash.db", str(copy)),
    )
    first.program.kill()
    for lost in tmp_path.glob("responder.db*"):
        lost.unlink()
    copy.rename(file)
    goes_on(site.replica("again", database=f"sqlite:///{file}"), site)


def test_a_restart_goes_on_from_the_copy_of_a_postgresql_database(
    site: Site, tmp_path: Path
) -> None:
    copy = str(tmp_path / "copy.dump")
    places = (
        ("/var/backups/memleash.dump", copy),
        ("postgresql://memleash@db/memleash", site.postgres.url),
    )
    first = halted_on(site, site.postgres.url)
    as_documented("pg_dump", *places)
    first.program.kill()
    site.postgres.query("ALTER DATABASE memleash RENAME TO lost", database="postgres")
    site.postgres.query("CREATE DATABASE memleash OWNER memleash", database="postgres")
    as_documented("pg_restore", *places)
    goes_on(site.replica("again"), site)
