"""500 clients that never finish a request: whoever does is answered, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

from demo.stack.http import status
from demo.stack.own_programs import exporter
from demo.stack.responder import alert, notification
from demo.stack.responder_with_peers import face, peers
from demo.stack.stalling_clients import Siege

CLIENTS = 500
REQUESTS = 100


def test_no_scrape_of_the_exporter_is_lost(tmp_path: Path) -> None:
    with exporter(tmp_path) as port, Siege(port, CLIENTS).laid():
        statuses = [status(port, "GET", "/metrics") for _ in range(REQUESTS)]
    assert statuses == [200] * REQUESTS


def test_no_alert_told_to_the_responder_is_lost_nor_a_pause_nor_a_scrape(tmp_path: Path) -> None:
    with peers() as world, face(tmp_path, world) as served, Siege(served.port, CLIENTS).laid():
        for number in range(REQUESTS):
            body = notification(alert(number, alertname="AgentBusy", remediation=""))
            assert status(served.port, "POST", "/api/v1/alertmanager", body) == 202
            assert status(served.port, "GET", "/metrics") == 200
        assert status(served.port, "POST", "/api/v1/pause") == 200
        assert status(served.port, "GET", "/-/healthy") == 200
        told = served.ask("GET", f"/api/v1/alerts?limit={REQUESTS}").json
    assert len(told["alerts"]) == REQUESTS, json.dumps(told)[:1000]


def test_more_than_are_served_at_once_shut_nobody_out(tmp_path: Path) -> None:
    with exporter(tmp_path) as port, Siege(port, 600).laid():
        statuses = [status(port, "GET", "/metrics") for _ in range(20)]
    assert statuses == [200] * 20
