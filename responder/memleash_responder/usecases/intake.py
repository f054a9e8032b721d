"""Notifications: stored before the answer, handled after it, alert by alert.

The inbox is what is durable; the queue in memory only says that there is work. What a crash
leaves in the inbox is handled at the next start, or by another replica; handling a notification
twice changes nothing.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor

from memleash_responder.adapters.own_metrics import Part
from memleash_responder.core.alerts import (
    Alert,
    Notification,
    PayloadError,
    Remediation,
    parse_alert,
    parse_notification,
)
from memleash_responder.core.outcomes import Outcome
from memleash_responder.errors import AlertmanagerError, DatabaseUnavailable
from memleash_responder.usecases.diagnosis_workflow import DiagnosisWorkflow
from memleash_responder.usecases.muting import Muting
from memleash_responder.usecases.restart_requests import RestartRequests
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.storm_breaker import watch_for_storm
from memleash_toolkit import documents

log = logging.getLogger(__name__)

LEFT_OUT_SECONDS = 3600.0
"""How long alerts that Alertmanager left out of a notification are asked for."""

MOST_TRIES = 10
"""How often a notification whose handling raises is tried: each try counts its alerts anew."""

KNOWN_ALERTS = frozenset(
    {
        "AgentMemoryAboveThreshold",
        "AgentMemoryGrowing",
        "AgentMemoryHardLimitPredicted",
        "AgentMemoryHardLimitExceeded",
        "AgentBusy",
        "AgentBusyTooLong",
        "HostPingFailed",
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Received:
    """A notification that this process has decoded, and when it was stored, unix time."""

    at: float
    notification: Notification


class Intake:
    """From the webhook to whoever deals with each alert."""

    def __init__(
        self,
        services: Services,
        requests: RestartRequests,
        muting: Muting,
        diagnosis: DiagnosisWorkflow,
        workers: Executor,
    ) -> None:
        """``workers`` run what waits for exporters, so that one slow host holds up no other."""
        self._services = services
        self._requests = requests
        self._muting = muting
        self._diagnosis = diagnosis
        self._workers = workers
        self._ready: queue.SimpleQueue[tuple[int, Received | None]] = queue.SimpleQueue()
        self._queued: set[int] = set()
        self._tries: dict[int, int] = {}
        self._actions: Mapping[tuple[Remediation, bool], Callable[[Alert], None]] = {
            (Remediation.RESTART, False): requests.resolve,
            (Remediation.DIAGNOSE, True): self._diagnose,
        }

    def accept(self, body: bytes) -> None:
        """Check a webhook's ``body`` and store it, in one durable write.

        Raises PayloadError (nothing is stored), BacklogFull or DatabaseUnavailable.
        """
        received = Received(self._services.clock.now(), decode(body))
        self._queue(self._services.tables.inbox.put(body, received.at), received)

    def run(self) -> None:
        """Handle notifications until the process stops."""
        while not self._services.stopping.is_set():
            try:
                notification_id, received = self._ready.get(timeout=60)
            except queue.Empty:
                continue
            self.take(notification_id, received)

    def take(self, notification_id: int, received: Received | None = None) -> None:
        """Handle a notification; what fails stays in the inbox for the sweep, but not for ever."""
        try:
            self._handle_patiently(notification_id, received)
        except Exception:  # the loop's boundary
            self._services.telemetry.failures.labels(Part.INTAKE).inc()
            log.exception("notification not handled", extra={"id": notification_id})
            tries = self._tries.pop(notification_id, 0) + 1
            if tries < MOST_TRIES:
                self._tries[notification_id] = tries
            self._ended(notification_id, handled=tries >= MOST_TRIES)
        else:
            self._tries.pop(notification_id, None)

    def sweep(self, *, before: float) -> None:
        """Queue what was received before a unix time and never handled."""
        for notification_id in self._services.tables.inbox.waiting(before=before):
            self._queue(notification_id, None)

    def _queue(self, notification_id: int, received: Received | None) -> None:
        if notification_id not in self._queued:
            self._queued.add(notification_id)
            self._ready.put((notification_id, received))

    def _handle_patiently(self, notification_id: int, received: Received | None) -> None:
        while not self._services.stopping.is_set():
            try:
                self.handle(notification_id, received)
            except DatabaseUnavailable as error:
                self._services.telemetry.failures.labels(Part.DATABASE).inc()
                log.warning("waiting for the database", extra={"reason": str(error)})
                self._services.stopping.wait(1)
            else:
                return

    def handle(self, notification_id: int, received: Received | None = None) -> None:
        """Record a stored notification's alerts, act on each, and take it out of the inbox.

        What was ``received`` by this process is not decoded a second time.
        """
        stored = self._services.tables.inbox.get(notification_id)
        if stored is None:
            self._queued.discard(notification_id)
            return
        # SQLite gives the id of a row that is gone to a new one: the moment tells them apart.
        is_same = received is not None and received.at == stored.received_at
        notification = received.notification if received and is_same else decode(stored.body)
        left_out = self._left_out(notification)
        alerts = [*notification.alerts, *(left_out or ())]
        judged = [(alert, self._unknown(alert)) for alert in alerts]
        self._services.tables.alerts.record(judged, self._services.clock.now())
        watch_for_storm(self._services)
        for alert, unknown in judged:
            self._count(alert, unknown)
        known = _once_each(alert for alert, unknown in judged if unknown is None)
        self._ask([one for one in known if one.firing and one.remediation is Remediation.RESTART])
        for alert in known:
            self._act(alert)
        # A restart and a diagnosis are rows by now. A mute is not, until its agent was looked at.
        busy = [one for one in known if one.remediation is Remediation.MUTE]
        looks = _Looks(
            len(busy),
            lambda all_well: self._ended(
                notification_id, handled=all_well and left_out is not None
            ),
        )
        for one in busy:
            self._workers.submit(self._look, one, looks.one_ended)

    def _ended(self, notification_id: int, *, handled: bool) -> None:
        """Take a notification out of the inbox, or leave it to the sweep, but not for ever."""
        inbox, now = self._services.tables.inbox, self._services.clock.now()
        self._queued.discard(notification_id)  # first: once the row is gone, its id may come again
        try:
            if handled or notification_id in inbox.waiting(before=now - LEFT_OUT_SECONDS):
                inbox.done(notification_id)
        except DatabaseUnavailable as error:
            log.warning("notification stays in the inbox", extra={"reason": str(error)})

    def _act(self, alert: Alert) -> None:
        if alert.remediation is None:
            return
        action = self._actions.get((alert.remediation, alert.firing))
        if action is None:
            return
        try:
            action(alert)
        except DatabaseUnavailable:
            raise
        except Exception:  # one bad alert never stops the rest
            self._services.telemetry.failures.labels(Part.ALERT).inc()
            log.exception("alert failed", extra={"alertname": alert.name, "host": alert.host})

    def _unknown(self, alert: Alert) -> Outcome | None:
        """Return the word for an alert that names no host or agent of ours."""
        if alert.remediation is None:
            return None
        if self._services.outside.inventory.get(alert.host) is None:
            return Outcome.UNKNOWN_HOST
        if alert.agent not in self._services.settings.agents:
            return Outcome.UNKNOWN_AGENT
        return None

    def _count(self, alert: Alert, unknown: Outcome | None) -> None:
        name = alert.name if alert.name in KNOWN_ALERTS else "other"
        status = "firing" if alert.firing else "resolved"
        self._services.telemetry.alerts.labels(name, status).inc()
        if unknown is None:
            return
        self._services.telemetry.alerts_refused.labels(unknown).inc()
        log.warning(
            "alert refused",
            extra={
                "outcome": unknown,
                "alertname": alert.name[:128],
                "host": alert.host[:128],
                "agent": alert.agent[:128],
            },
        )

    def _ask(self, alerts: list[Alert]) -> None:
        for restart_id in self._requests.ask_for_alerts(alerts):
            self._workers.submit(self._guarded, self._requests.consider, restart_id)

    def _diagnose(self, alert: Alert) -> None:
        diagnosis = self._diagnosis.ask(alert)
        if diagnosis is not None:
            self._workers.submit(self._guarded, self._diagnosis.consider, diagnosis.id)

    def _look(self, alert: Alert, ended: Callable[[bool], None]) -> None:
        if not self._guarded(self._muting.look, alert.host, alert.agent, ended):
            ended(False)

    def _guarded(self, work: Callable[..., None], *args: object) -> bool:
        """Do ``work`` in a worker, where its failure would go unseen; whether it went well."""
        try:
            work(*args)
        except Exception:
            self._services.telemetry.failures.labels(Part.WORKER).inc()
            log.exception("work failed; it is looked at again", extra={"about": args[:2]})
            return False
        return True

    def _left_out(self, notification: Notification) -> list[Alert] | None:
        """Return the alerts that Alertmanager left out of the notification, from its API.

        None when it cannot be asked: then the notification stays in the inbox for a later sweep.
        """
        if notification.truncated_alerts == 0:
            return []
        try:
            raw = self._services.outside.alertmanager.alerts(
                receiver=notification.receiver or None, labels=notification.group_labels
            )
        except AlertmanagerError as error:
            self._services.telemetry.failures.labels(Part.TRUNCATED).inc()
            log.warning("truncated alerts not read yet", extra={"reason": str(error)})
            return None
        return [alert for alert in map(_from_api, raw) if alert is not None]


def _once_each(alerts: Iterable[Alert]) -> list[Alert]:
    """Return the alerts without those that ask for what one before them asked for.

    All resolved ones stay: each names the request that it cancels.
    """
    first: dict[object, Alert] = {}
    for alert in alerts:
        asked = (alert.host, alert.agent, alert.remediation)
        first.setdefault(asked if alert.firing else (*asked, alert.fingerprint), alert)
    return list(first.values())


class _Looks:
    """The looks at the busy agents of one notification, each of which ends in its own time."""

    def __init__(self, count: int, all_ended: Callable[[bool], None]) -> None:
        """``all_ended`` is called once, with whether all went well; without looks, at once."""
        self._left, self._all_well = count, True
        self._all_ended = all_ended
        self._counting = threading.Lock()
        if not count:
            all_ended(True)

    def one_ended(self, well: bool) -> None:
        """Count a look that has ended, well or not."""
        with self._counting:
            self._left -= 1
            self._all_well = self._all_well and well
            is_last = self._left == 0
        if is_last:
            self._all_ended(self._all_well)


def decode(body: bytes) -> Notification:
    """Return a webhook's ``body`` as a Notification. Raises PayloadError."""
    try:
        raw = documents.parse_json(body)
    except documents.DocumentError as error:
        raise PayloadError("the body", str(error)) from error
    return parse_notification(raw)


def _from_api(alert: Mapping[str, object]) -> Alert | None:
    """Return a firing alert of Alertmanager's API, whose status is an object of its own."""
    try:
        return parse_alert({**alert, "status": "firing", "endsAt": None}, "alert")
    except PayloadError as error:
        log.warning("alert not understood", extra={"reason": str(error)})
        return None
