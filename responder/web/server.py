"""The production WSGI server: cheroot, threads in one process, with limits on size and time.

cheroot rather than gunicorn: it lives inside the process (DBOS's threads and a fork do not go
together), and unlike waitress it speaks TLS with client certificates.
"""

from __future__ import annotations

import argparse
import ipaddress
import logging
import threading
from typing import Any

from cheroot.wsgi import Server as CherootServer
from flask import Flask

from responder.web.connection import CLIENT_SECONDS, Connection
from toolkit.settings import ConfigError
from toolkit.web_config import WebConfig

THREADS = 32
HEADER_BYTES = 64 * 1024
CONNECTIONS = 512
"""Open at once; one more is closed unheard."""
_BODY_SLACK_BYTES = 1024 * 1024

log = logging.getLogger(__name__)


def parse_address(text: str) -> tuple[str, int]:
    """Return ``host:port`` or ``:port`` (host empty) as a pair, for argparse."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} must be host:port or :port")
    return host.strip("[]"), int(port)


def bind_address(address: tuple[str, int], *, protected: bool) -> tuple[str, int]:
    """Return where to listen: without any access control, on loopback only.

    Raises ConfigError for an address that others can reach and nothing protects.
    """
    host, port = address
    if protected:
        return host or "0.0.0.0", port
    if not host:
        log.warning("no access is configured: listening on loopback only", extra={"port": port})
        return "127.0.0.1", port
    if is_loopback(host):
        return address
    raise ConfigError(
        "--web.listen-address",
        "",
        f"{host}:{port} can be reached from elsewhere, and no access is configured; give"
        " --web.config.file with users or client certificates, or access.tokens, or listen on"
        f" 127.0.0.1:{port}",
    )


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address, is this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Server(CherootServer):
    ConnectionClass = Connection
    web_config: WebConfig
    _connections: Any

    def process_conn(self, conn: Connection) -> None:
        """Hand a connection to a worker, a new one only once it has sent something."""
        if conn.last_used is not None:
            super().process_conn(conn)
        elif self._connections._num_connections < CONNECTIONS:
            self._connections.put(conn)
        else:
            conn.close()

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Log as everything else does."""
        log.log(level, "web server", extra={"problem": msg}, exc_info=traceback)


class Server:
    """The listening server of one process."""

    def __init__(self, app: Flask, address: tuple[str, int], web_config: WebConfig) -> None:
        """``web_config``: whether and how TLS is spoken."""
        self._server = server = _Server(
            address,
            app,
            numthreads=THREADS,
            timeout=int(CLIENT_SECONDS),
            shutdown_timeout=2,
            request_queue_size=128,
            server_name="memleash",
        )
        server.web_config = web_config
        server.keep_alive_conn_limit = CONNECTIONS
        server.max_request_header_size = HEADER_BYTES
        # Flask refuses what is a little too large, and counts it; this refuses the rest unread.
        server.max_request_body_size = app.config["MAX_CONTENT_LENGTH"] + _BODY_SLACK_BYTES

    def bind(self) -> None:
        """Take the address. Raises OSError when it cannot be had."""
        self._server.prepare()

    def serve(self) -> None:
        """Serve in a thread, once bound."""
        threading.Thread(target=self._server.serve, name="web", daemon=True).start()

    @property
    def address(self) -> str:
        """``host:port`` as bound."""
        host, port = self._server.bind_addr[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def stop(self) -> None:
        """Stop listening and let running requests end."""
        self._server.stop()
