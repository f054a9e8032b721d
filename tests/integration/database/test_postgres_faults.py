"""PostgreSQL goes away, comes back, turns read-only, runs out of connections: nothing is lost.

While it is gone Alertmanager is answered 503, /-/ready is red, and metric and log say so; when it
is back, everything goes on by itself.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from demo.stack.postgres import Postgres
from demo.stack.processes import ProgramFailed, wait_until
from demo.stack.responder import Responder, alert
from tests.integration.database.conftest import Start


def recorded(postgres: Postgres) -> int:
    return int(postgres.query("SELECT count(*) FROM memleash_alerts"))


def is_red(one: Responder) -> None:
    """Assert that a responder without its database says so everywhere, and stores nothing."""
    assert one.status("/-/ready") == 503
    assert one.tell(alert(99)) == 503
    assert one.metric('memleash_responder_notifications_total{answer="unavailable"}') >= 1
    assert "the database postgresql" in one.program.log.read_text(encoding="utf-8")


def is_taken(one: Responder, number: int) -> None:
    wait_until("the alert to be taken", lambda: one.tell(alert(number)) == 202)


def is_green_again(one: Responder) -> None:
    wait_until("the responder to be ready", lambda: one.status("/-/ready") == 200)
    is_taken(one, 2)


def test_a_restarted_postgres_loses_nothing(start: Start, postgres: Postgres) -> None:
    one = start(postgres.url)
    assert one.tell(alert(1)) == 202
    wait_until("the alert in the record", lambda: recorded(postgres) == 1)
    postgres.stop()
    is_red(one)
    assert one.metric("memleash_responder_database_up") == 0
    postgres.program.start()
    is_green_again(one)
    wait_until("both alerts in the record", lambda: recorded(postgres) == 2)
    assert one.metric("memleash_responder_database_up") == 1


def test_cut_connections_are_made_anew(start: Start, postgres: Postgres) -> None:
    one = start(postgres.url)
    for number in range(5):
        postgres.cut_connections()
        is_taken(one, number)
    wait_until("every alert in the record", lambda: recorded(postgres) == 5)


def test_a_read_only_database_answers_503(start: Start, postgres: Postgres) -> None:
    one = start(postgres.url)
    postgres.query("ALTER ROLE memleash SET default_transaction_read_only = on")
    postgres.cut_connections()
    is_red(one)
    postgres.query("ALTER ROLE memleash RESET default_transaction_read_only")
    postgres.cut_connections()
    is_green_again(one)


def test_no_connection_left_answers_503(start: Start, postgres: Postgres) -> None:
    one = start(postgres.url)
    postgres.query("ALTER ROLE memleash CONNECTION LIMIT 0")
    postgres.cut_connections()
    is_red(one)
    postgres.query("ALTER ROLE memleash CONNECTION LIMIT -1")
    is_green_again(one)


def test_a_database_that_hangs_answers_503_and_holds_up_nobody_else(
    start: Start, postgres: Postgres
) -> None:
    """Seen: every worker of the web server waited for one write, and /-/healthy with them."""
    one = start(postgres.url)
    hanging = "BEGIN; LOCK TABLE memleash_notifications; SELECT pg_sleep(120)"
    with ThreadPoolExecutor(41) as pool:
        holder = pool.submit(postgres.query, hanging)
        locks = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted"
        wait_until("the table to be locked", lambda: int(postgres.query(locks)) > 0)
        told = [pool.submit(one.tell, alert(number)) for number in range(40)]
        assert one.status("/-/healthy") == 200
        assert [answer.result() for answer in told] == [503] * 40
        postgres.cut_connections()
        assert isinstance(holder.exception(), subprocess.CalledProcessError)
    is_green_again(one)


def made_with(postgres: Postgres, encoding: str) -> str:
    """Make a second database with an encoding, and return its URL."""
    postgres.query(
        f"CREATE DATABASE other OWNER memleash ENCODING '{encoding}' TEMPLATE template0"
        " LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    return postgres.url.removesuffix("memleash") + "other"


def told(one: Responder) -> list[str]:
    return [alert["host"] for alert in one.get("/api/v1/alerts")["alerts"]]


def test_a_database_without_an_encoding_keeps_text_whole(start: Start, postgres: Postgres) -> None:
    one = start(made_with(postgres, "SQL_ASCII"))
    assert one.tell(alert(1, host="h\u00f6st-\u6f22")) == 202
    wait_until("the alert in the record", lambda: "h\u00f6st-\u6f22" in told(one))


def test_a_database_that_cannot_store_every_label_is_refused(
    start: Start, postgres: Postgres
) -> None:
    with pytest.raises(ProgramFailed, match="has the encoding LATIN1; allowed: UTF8, SQL_ASCII"):
        start(made_with(postgres, "LATIN1"))


def refused(start: Start, folder: Path, url: str) -> str:
    """Return the one line with which a start on ``url`` ends."""
    with pytest.raises(ProgramFailed, match="ended with code 1"):
        start(url)
    (line,) = (folder / "responder.log").read_text(encoding="utf-8").splitlines()
    assert line.startswith("memleash-responder: the database postgresql://")
    return line


def test_a_database_that_is_not_there_ends_the_start_with_one_message(
    start: Start, postgres: Postgres, tmp_path: Path
) -> None:
    nowhere = postgres.url.removesuffix("memleash") + "nowhere"
    assert 'database "nowhere" does not exist' in refused(start, tmp_path, nowhere)


def test_a_wrong_password_ends_the_start_with_one_message(
    start: Start, postgres: Postgres, tmp_path: Path
) -> None:
    postgres.query("ALTER ROLE memleash PASSWORD 'right'")
    rules = Path(postgres.query("SHOW hba_file"))
    trusted = rules.read_text(encoding="utf-8")
    checked = "host all memleash 127.0.0.1/32 scram-sha-256\n"
    rules.write_text(checked + trusted, encoding="utf-8")
    postgres.query("SELECT pg_reload_conf()")
    line = refused(start, tmp_path, postgres.url.replace("memleash@", "memleash:secret@"))
    assert "password authentication failed" in line
    assert "secret" not in line


def test_another_programs_database_is_refused_and_not_touched(
    start: Start, postgres: Postgres, tmp_path: Path
) -> None:
    postgres.query("CREATE TABLE dashboards (id int)")
    assert "another program's (its tables: dashboards)" in refused(start, tmp_path, postgres.url)
    tables = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public'"
    assert postgres.query(tables) == "dashboards"


def test_a_table_of_the_same_name_is_refused(
    start: Start, postgres: Postgres, tmp_path: Path
) -> None:
    postgres.query("CREATE TABLE memleash_hosts (host text)")
    assert "memleash_hosts has no column agent" in refused(start, tmp_path, postgres.url)


@pytest.mark.parametrize("what", ["SCHEMA public", "DATABASE memleash"])
def test_a_missing_right_ends_the_start_with_one_message(
    start: Start, postgres: Postgres, tmp_path: Path, what: str
) -> None:
    """Seen: tracebacks of SQLAlchemy's and of DBOS's."""
    postgres.query(
        "ALTER DATABASE memleash OWNER TO postgres; ALTER SCHEMA public OWNER TO postgres;"
        "GRANT CREATE ON SCHEMA public TO memleash; GRANT CREATE ON DATABASE memleash TO memleash;"
        f"REVOKE CREATE ON {what} FROM memleash, PUBLIC"
    )
    assert "permission denied" in refused(start, tmp_path, postgres.url)


def test_a_table_that_is_dropped_answers_503(start: Start, postgres: Postgres) -> None:
    one = start(postgres.url)
    postgres.query("ALTER TABLE memleash_notifications RENAME TO elsewhere")
    postgres.query("ALTER TABLE memleash_leases RENAME TO elsewhere_too")
    is_red(one)
    assert one.metric("memleash_responder_database_up") == 0
    postgres.query("ALTER TABLE elsewhere RENAME TO memleash_notifications")
    postgres.query("ALTER TABLE elsewhere_too RENAME TO memleash_leases")
    is_green_again(one)


PATIENT_SECONDS = 60
"""How long these tests wait for an answer that should come within 10 s; without one, for ever."""


@contextmanager
def stopped(postgres: Postgres) -> Iterator[None]:
    """Stop the server and all its sessions, as a hypervisor does with a machine that it moves."""
    children = f"/proc/{postgres.program.pid}/task/{postgres.program.pid}/children"
    pids = [postgres.program.pid, *map(int, Path(children).read_text().split())]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_a_stopped_server_answers_503_and_goes_on_by_itself(
    start: Start, postgres: Postgres
) -> None:
    """Seen: the webhook waited for as long as the server was stopped, and with it every worker."""
    one = start(postgres.url)
    assert one.tell(alert(1)) == 202
    wait_until("the alert in the record", lambda: recorded(postgres) == 1)
    with stopped(postgres), ThreadPoolExecutor(20) as pool:
        told = [
            pool.submit(one.tell, alert(number), timeout_seconds=PATIENT_SECONDS)
            for number in range(100, 120)
        ]
        assert {answer.result() for answer in told} == {503}
        assert one.status("/-/healthy") == 200
        is_red(one)
        assert one.metric("memleash_responder_database_up") == 0
    is_green_again(one)


def test_a_server_that_accepts_and_never_answers_ends_the_start_with_one_message(
    start: Start, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        line = refused(start, tmp_path, f"postgresql://memleash@127.0.0.1:{port}/memleash")
    assert "timeout" in line
