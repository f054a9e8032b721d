"""Hosts of a test's own: each a small server that is the exporter and answers the pings."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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
        self.labels = {"zone": "z1"}
        """What its entry in the inventory says beyond what must stand there."""
        self.looked_at = threading.Event()
        self.scrapes: list[float] = []
        """Unix times at which Prometheus read the exporter."""
        self.pings: list[float] = []
        """Unix times at which a ping came in."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_port}"

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

    def _handler(node) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has its own self
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/ping":
                    node.pings.append(time.time())
                elif self.headers["User-Agent"].startswith("Prometheus"):
                    node.scrapes.append(time.time())
                else:
                    node.looked_at.set()
                body = node.metrics().encode()
                answers = self.path == "/ping" or node.exporter_answers
                self.send_response(200 if answers else 503)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    @contextlib.contextmanager
    def running(self) -> Iterator[Node]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()
