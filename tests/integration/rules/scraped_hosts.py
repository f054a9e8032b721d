"""A fleet of one web server: pages that Prometheus scrapes, a list of targets, webhooks."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from demo.http_server import Reply, Request, serving

Json = Any


@dataclass(slots=True)
class Notification:
    """One webhook call of Alertmanager."""

    receiver: str
    received_at: float
    """Of time.monotonic."""
    body: Json

    def alerts(self, name: str, status: str = "firing", **labels: str) -> list[Json]:
        wanted = {"alertname": name, **labels}
        return [
            alert
            for alert in self.body["alerts"]
            if alert["status"] == status and wanted.items() <= alert["labels"].items()
        ]


@dataclass(slots=True)
class Fleet:
    """What the hosts tell now; tests change it while Prometheus looks."""

    address: str = ""
    pages: dict[str, str] = field(default_factory=dict)
    """Path to what is answered; a path that is not there answers 500."""
    asked: dict[str, int] = field(default_factory=dict)
    """Path to how often it was asked for."""
    notifications: list[Notification] = field(default_factory=list)
    failing_once: set[str] = field(default_factory=set)
    """Paths whose next request is answered 500."""

    def tell(self, host: str, **metrics: float | None) -> None:
        """The host's exporter tells these metrics from now on; None is no sample."""
        told = {"up": 1, "start_time_seconds": 1700000000.5, "busy": 0, **metrics}
        self.pages[f"/hosts/{host}/metrics"] = "".join(
            f'memleash_agent_{name}{{agent="a1"}} {value}\n'
            for name, value in told.items()
            if value is not None
        )

    def ping(self, host: str, *, success: bool) -> None:
        """The host answers pings from now on, or not."""
        self.pages[f"/probe/{host}"] = f"probe_success {int(success)}\n"

    def list_targets(self, targets: Mapping[str, list[str]]) -> None:
        """Host to the addresses that the list of ping targets has for it."""
        entries = [{"targets": t, "labels": {"host": host}} for host, t in targets.items()]
        self.pages["/api/v1/sd/ping-targets"] = json.dumps(entries)

    def told(self, receiver: str, name: str, status: str = "firing", **labels: str) -> list[Json]:
        """The alerts that a receiver was notified of, oldest first, repeats included."""
        return [
            alert
            for notification in list(self.notifications)
            if notification.receiver == receiver
            for alert in notification.alerts(name, status, **labels)
        ]


@contextmanager
def serve(fleet: Fleet) -> Iterator[Fleet]:
    """Serve the fleet on a free port of loopback."""

    def answer(asked: Request) -> Reply:
        if asked.method == "POST":
            receiver = asked.path.rpartition("/")[2]
            fleet.notifications.append(Notification(receiver, time.monotonic(), asked.json()))
            return Reply()
        path = asked.route
        fleet.asked[path] = fleet.asked.get(path, 0) + 1
        fails = path in fleet.failing_once or path not in fleet.pages
        fleet.failing_once.discard(path)
        text = fleet.pages.get(path, "")
        kind = "application/json" if text.startswith("[") else "text/plain"
        return Reply(500 if fails else 200, text.encode(), {"Content-Type": kind})

    with serving(answer) as served:
        fleet.address = served.address
        yield fleet
