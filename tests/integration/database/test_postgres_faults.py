"""PostgreSQL goes away, comes back, turns read-only, runs out of connections: nothing is lost.

While it is gone Alertmanager is answered 503, /-/ready is red, and metric and log say so; when it
is back, everything goes on by itself.
"""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.stack.processes import ProgramFailed, wait_until
from tests.integration.database.conftest import Start
from tests.support.postgres import Postgres
from tests.support.responder import Responder, alert


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
