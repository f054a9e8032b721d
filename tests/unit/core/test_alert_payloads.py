"""Alertmanager's webhook payload, version 4: what is read, and what is refused with which field."""

from __future__ import annotations

from typing import Any

import pytest

from memleash_responder.core.alerts import (
    PayloadError,
    Remediation,
    parse_alert,
    parse_notification,
)

ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "A", "host": "node-1", "agent": "kvmagent", "remediation": "restart"},
    "annotations": {"summary": "s"},
    "startsAt": "2026-01-02T03:04:05.678901234Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus.example/graph",
    "fingerprint": "1d2e3f",
}
PAYLOAD: dict[str, Any] = {
    "version": "4",
    "groupKey": "{}",
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "responder",
    "groupLabels": {"host": "node-1"},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager.example",
    "alerts": [ALERT],
}


def told(alert: dict[str, Any] | None = None, **changes: Any) -> Any:
    body = {**PAYLOAD, **changes}
    return parse_notification({**body, "alerts": [{**ALERT, **alert}]} if alert else body)


def test_a_notification_of_alertmanager_is_read() -> None:
    notification = told()
    (alert,) = notification.alerts
    assert (notification.receiver, notification.truncated_alerts) == ("responder", 0)
    assert notification.group_labels == {"host": "node-1"}
    assert (alert.fingerprint, alert.firing, alert.name) == ("1d2e3f", True, "A")
    assert (alert.host, alert.agent) == ("node-1", "kvmagent")
    assert alert.remediation is Remediation.RESTART
    assert alert.starts_at == pytest.approx(1767323045.678901)


def test_fields_that_are_not_known_are_accepted() -> None:
    told(notification_reason="first", alerts=[{**ALERT, "new": {"a": [1]}}])


def test_the_status_is_the_alerts_own_not_the_groups() -> None:
    both = [ALERT, {**ALERT, "status": "resolved"}]
    assert [alert.firing for alert in told(alerts=both).alerts] == [True, False]


@pytest.mark.parametrize("value", ["", "reboot", "RESTART", "restart\n"])
def test_a_remediation_that_is_not_known_asks_for_nothing(value: str) -> None:
    (alert,) = told({"labels": {"remediation": value}}).alerts
    assert alert.remediation is None


def test_finding_4_missing_names_are_empty_and_no_error() -> None:
    """Found: a missing process name crashed the handler."""
    (alert,) = told({"labels": {}}).alerts
    assert (alert.name, alert.host, alert.agent, alert.remediation) == ("", "", "", None)


def test_an_alert_without_a_fingerprint_gets_one_of_its_labels() -> None:
    def fingerprint(**labels: str) -> str:
        (alert,) = told({"fingerprint": None, "labels": labels}).alerts
        return str(alert.fingerprint)

    assert fingerprint(a="1", b="2") == fingerprint(b="2", a="1") != fingerprint(a="1")
    assert fingerprint(a="\ud800"), "half of a pair is text in JSON, and no UTF-8"


@pytest.mark.parametrize("value", ["\ud800", "\0", "a b", "\u00e9", "", "x" * 129, 7])
def test_a_fingerprint_is_plain_ascii(value: object) -> None:
    """Seen: one that no database stores was accepted, and never left the inbox."""
    if value == "":
        assert told({"fingerprint": value}).alerts[0].fingerprint, "none: one of the labels"
        return
    with pytest.raises(PayloadError, match=r"alerts\[0\].fingerprint must be"):
        told({"fingerprint": value})


@pytest.mark.parametrize("field", ["receiver", "groupLabels"])
def test_what_alertmanager_is_asked_with_is_whole_text(field: str) -> None:
    half: dict[str, Any] = {"receiver": "\ud800", "groupLabels": {"host": "\ud800"}}
    with pytest.raises(PayloadError, match=f"^{field} must be text"):
        told(**{field: half[field]})


HOSTILE = ["$(reboot)", "a\nb", "'\";--", "\0", "x" * 1_000_000]


@pytest.mark.parametrize("value", HOSTILE, ids=["shell", "newline", "quotes", "nul", "1 MB"])
def test_labels_are_kept_as_text_whatever_they_hold(value: str) -> None:
    (alert,) = told({"labels": {"host": value}}).alerts
    assert alert.host == value


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "the body"),
        (None, "the body"),
        ({}, "alerts"),
        ({**PAYLOAD, "version": "3"}, "version"),
        ({**PAYLOAD, "alerts": {}}, "alerts"),
        ({**PAYLOAD, "alerts": ["x"]}, "alerts[0]"),
        ({**PAYLOAD, "truncatedAlerts": -1}, "truncatedAlerts"),
        ({**PAYLOAD, "truncatedAlerts": True}, "truncatedAlerts"),
        ({**PAYLOAD, "receiver": 4}, "receiver"),
        ({**PAYLOAD, "groupLabels": []}, "groupLabels"),
    ],
)
def test_a_body_that_is_no_notification_is_refused_with_the_field(body: Any, field: str) -> None:
    with pytest.raises(PayloadError) as refused:
        parse_notification(body)
    assert refused.value.field == field
    assert str(refused.value).startswith(field)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"status": "odd"}, "alerts[1].status"),
        ({"status": None}, "alerts[1].status"),
        ({"labels": None}, "alerts[1].labels"),
        ({"labels": {"host": 1}}, "alerts[1].labels.host"),
        ({"fingerprint": "f" * 129}, "alerts[1].fingerprint"),
        ({"fingerprint": 7}, "alerts[1].fingerprint"),
        ({"startsAt": "yesterday"}, "alerts[1].startsAt"),
        ({"startsAt": None}, "alerts[1].startsAt"),
        ({"startsAt": 5}, "alerts[1].startsAt"),
        ({"endsAt": "soon"}, "alerts[1].endsAt"),
    ],
)
def test_one_bad_alert_refuses_the_notification_and_is_named(
    change: dict[str, Any], field: str
) -> None:
    with pytest.raises(PayloadError) as refused:
        parse_notification({**PAYLOAD, "alerts": [ALERT, {**ALERT, **change}]})
    assert refused.value.field == field


def test_the_webhooks_nanoseconds_and_the_apis_milliseconds_are_one_moment() -> None:
    """Seen: an alert read from the API was another one than the same alert in a notification."""
    told = {"status": "firing", "labels": {}, "startsAt": "2026-11-22T17:10:41.123987654Z"}
    listed = told | {"startsAt": "2026-11-22T17:10:41.123Z"}
    assert parse_alert(told, "alert").starts_at == parse_alert(listed, "alert").starts_at
