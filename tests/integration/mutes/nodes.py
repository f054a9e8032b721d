"""Hosts of a test's own: each a small server that is the exporter and answers the pings."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from demo.http_server import Raw, Reply, Request, serving

GIB = 1024**3
AGENT = "sample-agent"


class Node:
    """One host. What it says is the test's to change; what it was asked is kept."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.busy: int | None = 0
        """None: the exporter has no sample."""
        self.resident_bytes = GIB
        self.start_time = time.time() - 86_400
        self.exporter_answers = True
        self.exporter_hangs = False
        """It accepts, and never answers."""
        self.answers_pings = True
        self.labels = {"zone": "z1"}
        """What its entry in the inventory says beyond what must stand there."""
        self.looked_at = threading.Event()
        self.looks = 0
        """How often the responder has asked the exporter."""
        self.scrapes: list[float] = []
        """Unix times at which Prometheus read the exporter."""
        self.pings: list[float] = []
        """Unix times at which a ping came in."""
        self.address = ""

    @property
    def ping_url(self) -> str:
        return f"http://{self.address}/ping"

    def group(self) -> dict[str, Any]:
        """Return this host's entry in the inventory."""
        labels = {"host": self.name, "ssh_address": "127.0.0.1", "ping_url": self.ping_url}
        return {"targets": [self.address], "labels": labels | self.labels}

    def metrics(self) -> str:
        """Return what the exporter says now."""
        values = {
            "up": 1,
            "start_time_seconds": self.start_time,
            "resident_memory_bytes": self.resident_bytes,
            "busy": self.busy,
        }
        return "".join(
            f'memleash_agent_{name}{{agent="{AGENT}"}} {value}\n'
            for name, value in values.items()
            if value is not None
        )

    def _answer(self, asked: Request) -> Reply | Raw:
        if asked.path == "/ping":
            self.pings.append(time.time())
        elif asked.headers["User-Agent"].startswith("Prometheus"):
            self.scrapes.append(time.time())
        else:
            self.looks += 1
            self.looked_at.set()
            if self.exporter_hangs:
                return Raw(hang=True)
        answers = self.answers_pings if asked.path == "/ping" else self.exporter_answers
        kind = {"Content-Type": "text/plain; version=0.0.4"}
        return Reply(200 if answers else 503, self.metrics().encode(), kind)

    @contextlib.contextmanager
    def running(self) -> Iterator[Node]:
        with serving(self._answer) as served:
            self.address = served.address
            yield self
