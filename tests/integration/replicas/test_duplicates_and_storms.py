"""Everything is told many times over, and much at once: nothing is lost, nothing done twice."""

from __future__ import annotations

import json
import sqlite3
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from demo.stack.http import answers
from demo.stack.ports import reserve_ports
from demo.stack.processes import Program, wait_until
from demo.stack.replicas import Site, final_words
from demo.stack.responder import UNUSED, Responder, alert, lonely, notification, responder
from tests.support.stacks import find_or_skip

pytestmark = pytest.mark.integration

CLIENTS = 8


def together(clients: int, work: list[bytes], one: Responder) -> list[int]:
    """Deliver every body of ``work`` from concurrent clients; return the answers' statuses."""
    statuses: list[int] = []
    left = iter(work)
    turn = threading.Lock()

    def client() -> None:
        while True:
            with turn:
                body = next(left, None)
            if body is None:
                return
            with suppress(OSError):  # the responder was killed: no answer, nothing promised
                statuses.append(one.deliver(body))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    return statuses


def test_a_thousand_duplicates_from_many_clients_are_one_restart(site: Site) -> None:
    first, second = site.replica("first"), site.replica("second")
    site.over_the_limit()
    told = notification(alert(1, host=site.stack.layout.host, agent=site.stack.layout.agent))
    statuses = together(CLIENTS, [told] * 500, first) + together(CLIENTS, [told] * 500, second)
    assert statuses == [202] * 1000
    wait_until("every notification to be handled", lambda: first.metric(QUEUE) == 0)
    words = final_words(site)
    assert words[0] == "restarted"
    assert set(words[1:]) <= {"cooldown", "already_restarted"}  # told again after retry_after
    assert site.starts() == 2  # the first start, and one restart
    assert int(site.postgres.query("SELECT sum(deliveries) FROM memleash_alerts")) == 1000


QUEUE = "memleash_responder_queue_length"


@contextmanager
def alertmanager(
    folder: Path, port: int, responders: list[Responder], **webhook: object
) -> Iterator[str]:
    """Run an Alertmanager that knows no other and tells every one of ``responders`` at once."""
    route = {"receiver": "responders", "group_by": [], "group_wait": "0s"}
    route |= {"group_interval": "1s", "repeat_interval": "1s"}
    webhooks = [{"url": f"{one.url}/api/v1/alertmanager", **webhook} for one in responders]
    config = {"route": route, "receivers": [{"name": "responders", "webhook_configs": webhooks}]}
    folder.mkdir()
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    url = f"http://127.0.0.1:{port}"
    argv: list[str | Path] = [
        find_or_skip("stable").alertmanager,
        f"--config.file={file}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    program = Program(folder.name, argv, folder / "log", lambda: answers(f"{url}/-/ready"))
    program.start()
    try:
        yield url
    finally:
        program.stop()


def fire(url: str, alerts: list[dict[str, dict[str, str]]]) -> None:
    """Tell an Alertmanager what Prometheus would."""
    body = json.dumps(alerts).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/api/v2/alerts", body, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def test_three_alertmanagers_and_two_replicas_make_one_restart_and_one_mute(
    site: Site, tmp_path: Path
) -> None:
    replicas = [site.replica("first"), site.replica("second")]
    site.over_the_limit()
    about = {"host": site.stack.layout.host, "agent": site.stack.layout.agent}
    over = {"alertname": "AgentMemoryHardLimitExceeded", "remediation": "restart"}
    silences = []
    with reserve_ports() as ports, ExitStack() as running:
        urls = [
            running.enter_context(alertmanager(tmp_path / f"peer-{port}", port, replicas))
            for port in ports[:3]
        ]
        for url in urls:
            fire(url, [{"labels": over | about}])

        def ended() -> bool:
            silences.append(len(site.observer.silences()))
            return "restarted" in site.outcomes()

        wait_until("the restart to end", ended, seen=site.outcomes)
    assert site.starts() == 2
    assert site.outcomes().count("restarted") == 1
    assert max(silences) == 1


def test_every_alert_that_was_taken_is_in_the_record_after_a_kill(tmp_path: Path) -> None:
    database = tmp_path / "responder.db"
    with reserve_ports() as ports:
        one = responder(tmp_path, ports[0], lonely(tmp_path, f"sqlite:///{database}"))
        one.program.start()
        taken: list[int] = []

        def deliver(numbers: range) -> None:
            with suppress(OSError):
                taken.extend(
                    number
                    for number in numbers
                    if one.tell(alert(number, host=f"unknown-{number}")) == 202
                )

        clients = [
            threading.Thread(target=deliver, args=(range(n * 1000, (n + 1) * 1000),))
            for n in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        wait_until("the burst to be in full swing", lambda: len(taken) > 100)
        one.program.kill()
        for client in clients:
            client.join(60)
        assert taken
        one.program.start()
        try:
            wait_until("the inbox to be empty", lambda: one.metric(QUEUE) == 0)
        finally:
            one.program.stop()
    with closing(sqlite3.connect(database)) as connection:
        recorded = {row[0] for row in connection.execute("SELECT host FROM memleash_alerts")}
    assert {f"unknown-{number}" for number in taken} <= recorded


@pytest.fixture
def large_fleet(tmp_path: Path) -> Iterator[Responder]:
    """A responder for 10,000 hosts, none of which can be reached."""
    inventory = tmp_path / "fleet.json"
    hosts = [{"targets": [UNUSED], "labels": {"host": f"node-{n}"}} for n in range(10_000)]
    inventory.write_text(json.dumps(hosts), encoding="utf-8")
    config = lonely(tmp_path, f"sqlite:///{tmp_path / 'responder.db'}")
    config |= {"inventory": {"files": [str(inventory)]}, "webhook": {"max_backlog": 300}}
    with reserve_ports() as ports:
        one = responder(tmp_path, ports[0], config)
        one.program.start()
        yield one
        one.program.stop()


def test_a_notification_of_ten_thousand_alerts_is_a_storm_and_restarts_nothing(
    large_fleet: Responder, tmp_path: Path
) -> None:
    alerts = [alert(number, host=f"node-{number}") for number in range(10_000)]
    assert large_fleet.tell(*alerts, timeout_seconds=60) == 202
    wait_until(
        "all to be handled",
        lambda: large_fleet.metric(QUEUE) == 0,
        timeout_seconds=500,
        every_seconds=1,  # a scrape of a large fleet costs the responder what it has to do
    )
    assert large_fleet.metric("memleash_responder_storm") == 1
    with closing(sqlite3.connect(tmp_path / "responder.db")) as connection:
        words = dict(
            connection.execute("SELECT outcome, count(*) FROM memleash_restarts GROUP BY 1")
        )
        recorded = connection.execute("SELECT count(*) FROM memleash_alerts").fetchone()[0]
    assert words == {"storm": 10_000}
    assert recorded == 10_000


def test_a_burst_of_notifications_is_taken_or_told_to_come_again(
    large_fleet: Responder, tmp_path: Path
) -> None:
    bodies = [notification(alert(number, host=f"node-{number}")) for number in range(1000)]
    statuses = together(CLIENTS, bodies, large_fleet)
    assert len(statuses) == 1000
    assert set(statuses) <= {202, 503}  # 503: the backlog was full, Alertmanager tries again
    wait_until(
        "all to be handled",
        lambda: large_fleet.metric(QUEUE) == 0,
        timeout_seconds=500,
        every_seconds=1,  # a scrape of a large fleet costs the responder what it has to do
    )
    with closing(sqlite3.connect(tmp_path / "responder.db")) as connection:
        (recorded,) = connection.execute("SELECT count(*) FROM memleash_alerts").fetchone()
    assert recorded == statuses.count(202)


def test_alerts_that_alertmanager_left_out_are_read_from_it(tmp_path: Path) -> None:
    database = tmp_path / "responder.db"
    with reserve_ports() as ports:
        peer = f"http://127.0.0.1:{ports[1]}"
        config = lonely(tmp_path, f"sqlite:///{database}", alertmanager={"urls": [peer]})
        one = responder(tmp_path, ports[0], config)
        one.program.start()
        labels = {"alertname": "Many", "remediation": "restart"}
        many = [{"labels": {**labels, "host": f"unknown-{n}"}} for n in range(20)]
        with alertmanager(tmp_path / "peer", ports[1], [one], max_alerts=1) as url:
            fire(url, many)
            wait_until(
                "all to be in the record",
                lambda: recorded(database) == 20,
                seen=lambda: recorded(database),
            )
        one.program.stop()


def recorded(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM memleash_alerts").fetchone()[0])
