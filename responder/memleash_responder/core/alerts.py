"""Alertmanager's webhook payload, version 4, as data. Unknown fields are accepted and dropped.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.
Labels are never more than look-up keys: no address, command or path is made of them.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import re
from collections.abc import Mapping

from memleash_responder.core import moments
from memleash_responder.core.untrusted import line


class Remediation(enum.StrEnum):
    """What an alert's ``remediation`` label asks for."""

    RESTART = "restart"
    """Look whether the agent is to be restarted."""
    MUTE = "mute"
    """Look whether the host's pings are to be muted."""
    DIAGNOSE = "diagnose"
    """Look whether evidence is to be taken."""


class PayloadError(ValueError):
    """A notification that is not version 4: names the field, what it is, and what it must be."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = line(field)
        super().__init__(f"{self.field} {line(problem)}")


@dataclasses.dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a notification."""

    fingerprint: str
    firing: bool
    labels: Mapping[str, str]
    starts_at: float
    """Unix time."""
    ends_at: float | None
    """Unix time; None while it fires."""

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")

    @property
    def host(self) -> str:
        return self.labels.get("host", "")

    @property
    def agent(self) -> str:
        return self.labels.get("agent", "")

    @property
    def remediation(self) -> Remediation | None:
        """What the alert asks for; None when it asks for nothing that is known."""
        try:
            return Remediation(self.labels.get("remediation", ""))
        except ValueError:
            return None


@dataclasses.dataclass(frozen=True, slots=True)
class Notification:
    """One call of the webhook."""

    receiver: str
    group_labels: Mapping[str, str]
    truncated_alerts: int
    alerts: tuple[Alert, ...]


def parse_notification(raw: object) -> Notification:
    """Return the decoded JSON ``raw`` as a Notification. Raises PayloadError."""
    body = _mapping(raw, "the body")
    if body.get("version", "4") != "4":
        raise PayloadError("version", f"is '{line(body['version'], 16)}'; only '4' is understood")
    alerts = body.get("alerts")
    if not isinstance(alerts, list):
        raise PayloadError("alerts", "must be a list of alerts")
    truncated = body.get("truncatedAlerts", 0)
    if isinstance(truncated, float) and truncated.is_integer():
        truncated = int(truncated)  # to JSON, 1.0 is a whole number too
    if not isinstance(truncated, int) or isinstance(truncated, bool) or truncated < 0:
        raise PayloadError("truncatedAlerts", "must be a whole number, not negative")
    receiver = body.get("receiver", "")
    if not isinstance(receiver, str) or not _is_unicode(receiver):
        raise PayloadError("receiver", "must be text")
    group_labels = _labels(body.get("groupLabels", {}), "groupLabels")
    if not all(_is_unicode(name) and _is_unicode(value) for name, value in group_labels.items()):
        raise PayloadError("groupLabels", "must be text, which half a character is not")
    return Notification(
        receiver=receiver,
        group_labels=group_labels,
        truncated_alerts=truncated,
        alerts=tuple(
            parse_alert(alert, f"alerts[{number}]") for number, alert in enumerate(alerts)
        ),
    )


def parse_alert(raw: object, field: str) -> Alert:
    """Return one alert of a payload; ``field`` names it in errors. Raises PayloadError."""
    alert = _mapping(raw, field)
    status = alert.get("status")
    if status not in ("firing", "resolved"):
        raise PayloadError(f"{field}.status", 'must be "firing" or "resolved"')
    labels = _labels(alert.get("labels"), f"{field}.labels")
    fingerprint = alert.get("fingerprint") or _fingerprint(labels)
    if not isinstance(fingerprint, str) or not re.fullmatch(r"[!-~]{1,128}", fingerprint):
        raise PayloadError(f"{field}.fingerprint", "must be at most 128 characters of plain ASCII")
    starts_at = _time(alert.get("startsAt"), f"{field}.startsAt")
    ends_at = _time(alert["endsAt"], f"{field}.endsAt") if alert.get("endsAt") else None
    return Alert(fingerprint, status == "firing", labels, starts_at, ends_at)


def _mapping(raw: object, field: str) -> Mapping[str, object]:
    if not isinstance(raw, dict):
        raise PayloadError(field, "must be a JSON object")
    return raw


def _labels(raw: object, field: str) -> Mapping[str, str]:
    labels = _mapping(raw, field)
    for name, value in labels.items():
        if not isinstance(value, str):
            raise PayloadError(f"{field}.{name}", "must be text")
    return {name: str(value) for name, value in labels.items()}


def _is_unicode(text: str) -> bool:
    """Whether ``text`` can be told to others: JSON also allows half a character, a surrogate."""
    return not re.search("[\ud800-\udfff]", text)


def _time(raw: object, field: str) -> float:
    try:
        # Alertmanager's webhook tells nanoseconds, its API milliseconds of the same moment.
        return moments.parse(raw, fraction_digits=3)
    except ValueError as error:
        raise PayloadError(field, "must be an RFC 3339 time") from error


def _fingerprint(labels: Mapping[str, str]) -> str:
    text = json.dumps(labels, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
