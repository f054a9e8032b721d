"""An Alertmanager's answer is understood, or it is AlertmanagerError; never anything else."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from memleash_responder.adapters.alertmanager import AlertmanagerClient, Silence
from memleash_responder.adapters.http import client as http
from memleash_responder.core.alerts import PayloadError, parse_alert
from memleash_responder.core.matchers import Matcher
from memleash_responder.errors import AlertmanagerError
from memleash_responder.settings import Alertmanager
from tests.unit.usecases.neighbours import BYTES, damaged

pytestmark = pytest.mark.one_python

SILENCE = {
    "id": "s-1",
    "status": {"state": "active"},
    "matchers": [{"name": "host", "value": "node-1", "isRegex": False, "isEqual": True}],
    "startsAt": "2026-01-01T00:00:00.123Z",
    "endsAt": "2026-01-01T00:10:00.000Z",
    "createdBy": "memleash",
    "comment": "busy",
}
ALERT = {
    "labels": {"alertname": "A", "host": "node-1", "agent": "kvm", "remediation": "restart"},
    "startsAt": "2026-01-01T00:00:00.123Z",
    "endsAt": "2026-01-01T00:10:00.000Z",
    "fingerprint": "1d2e3f",
    "status": {"state": "active"},
}
WANTED = Silence(
    "s-1",
    (Matcher("host", "node-1"),),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 1, 0, 10, tzinfo=UTC),
    "busy",
)
MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@MANY
@given(BYTES | damaged([SILENCE]) | damaged(SILENCE) | damaged({"silenceID": "s-1"}))
def test_silences(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    def answer(_session: object, method: str, url: str, **_: Any) -> http.Answer:
        return http.Answer(200, {}, body, f"{method} {url}")

    monkeypatch.setattr(http, "request", answer)
    client = AlertmanagerClient(Alertmanager(urls=("http://alertmanager",)))
    with contextlib.suppress(AlertmanagerError):
        for silence in client.silences():
            assert {type(one.name) for one in silence.matchers} <= {str}
            hash(silence)
            silence.ends_at.timestamp()
    with contextlib.suppress(AlertmanagerError):
        assert isinstance(client.put(WANTED), str)


@MANY
@given(BYTES | damaged([ALERT]) | damaged(ALERT))
def test_alerts(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    def answer(_session: object, method: str, url: str, **_: Any) -> http.Answer:
        return http.Answer(200, {}, body, f"{method} {url}")

    monkeypatch.setattr(http, "request", answer)
    with contextlib.suppress(AlertmanagerError, PayloadError):
        for alert in AlertmanagerClient(Alertmanager(urls=("http://alertmanager",))).alerts():
            parse_alert({**alert, "status": "firing"}, "alert")
