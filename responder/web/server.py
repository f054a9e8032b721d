"""The production WSGI server: cheroot, threads in one process, with limits on size and time.

cheroot rather than gunicorn: it lives inside the process (DBOS's threads and a fork do not go
together), and unlike waitress it speaks TLS with client certificates.
"""

from __future__ import annotations

import argparse
import threading

from cheroot.wsgi import Server as CherootServer
from flask import Flask

THREADS = 32
HEADER_BYTES = 64 * 1024
REQUEST_SECONDS = 30


def parse_address(text: str) -> tuple[str, int]:
    """Return ``host:port`` or ``:port`` (all interfaces) as a pair, for argparse."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} must be host:port or :port")
    return host.strip("[]") or "0.0.0.0", int(port)


class Server:
    """The listening server of one process."""

    def __init__(self, app: Flask, address: tuple[str, int]) -> None:
        self._server = CherootServer(
            address, app, numthreads=THREADS, timeout=REQUEST_SECONDS, shutdown_timeout=2
        )
        self._server.max_request_header_size = HEADER_BYTES
        # cheroot's own limit would only be met after reading; Flask's answers before.
        self._server.max_request_body_size = 0

    def start(self) -> None:
        """Bind and serve in a thread. Raises OSError when the address cannot be had."""
        self._server.prepare()
        threading.Thread(target=self._server.serve, name="web", daemon=True).start()

    @property
    def address(self) -> str:
        """``host:port`` as bound."""
        host, port = self._server.bind_addr
        return f"{host}:{port}"

    def stop(self) -> None:
        """Stop listening and let running requests end."""
        self._server.stop()
