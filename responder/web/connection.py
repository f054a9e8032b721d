"""cheroot's connections, held to what it does not promise itself.

1. A connection gets a worker once it has sent something, so that idle ones hold up nobody.
2. TLS begins in the worker, not in the one thread that accepts.
3. All the waiting for a client, in one request, together has a limit: a client that drips a byte
   at a time is cut off. The time that the application takes is not counted.
4. What could be read in two ways (a length and chunks), or was left unread, ends the connection.
"""

from __future__ import annotations

import _pyio  # type: ignore[import-not-found] # cheroot's streams are made of it
import contextlib
import http
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

from cheroot.makefile import StreamReader, StreamWriter
from cheroot.server import HTTPConnection, HTTPRequest

from toolkit.web_config import WebConfig

CERTIFICATE = "memleash.certificate"
"""WSGI environment: the names in the client's verified certificate, as a tuple."""
HANDSHAKE_SECONDS = 10.0
CLIENT_SECONDS = 30.0
"""What one request may wait for its client, reading and writing together."""
_DRAIN_BYTES = 64 * 1024
"""So much of an unread body is read to keep the connection; with more, it is closed."""

log = logging.getLogger(__name__)


class Patience:
    """How long a client may still be waited for."""

    def __init__(self) -> None:
        self._left_seconds = CLIENT_SECONDS

    def renew(self) -> None:
        """Begin anew, for the next request."""
        self._left_seconds = CLIENT_SECONDS

    @contextlib.contextmanager
    def spent_on(self, connection: socket.socket) -> Iterator[None]:
        """Let one read or write of ``connection`` take what is left. Raises TimeoutError."""
        if self._left_seconds <= 0:
            raise TimeoutError("timed out")  # the words that cheroot answers 408 to
        connection.settimeout(self._left_seconds)
        began = time.monotonic()
        try:
            yield
        finally:
            self._left_seconds -= time.monotonic() - began


class _PatientIO(socket.SocketIO):
    """A socket's raw stream, whose waiting is counted."""

    def __init__(self, connection: socket.socket, mode: Any, patience: Patience) -> None:
        super().__init__(connection, mode)
        self._connection, self._patience = connection, patience

    def readinto(self, buffer: Any) -> int | None:
        with self._patience.spent_on(self._connection):
            return super().readinto(buffer)

    def write(self, data: Any) -> int | None:
        with self._patience.spent_on(self._connection):
            return super().write(data)


class _Reader(StreamReader):
    def __init__(self, connection: socket.socket, size: int, patience: Patience) -> None:
        _pyio.BufferedReader.__init__(self, _PatientIO(connection, "rb", patience), size)
        self.bytes_read = 0
        self._connection = connection

    def has_data(self) -> bool:
        """Whether something can be read without waiting, out of TLS's own buffer too."""
        if super().has_data():  # type: ignore[no-untyped-call]
            return True
        return isinstance(self._connection, ssl.SSLSocket) and self._connection.pending() > 0


class _Writer(StreamWriter):
    def __init__(self, connection: socket.socket, size: int, patience: Patience) -> None:
        _pyio.BufferedWriter.__init__(self, _PatientIO(connection, "wb", patience), size)
        self.bytes_written = 0


class Request(HTTPRequest):
    """A request whose refusals are problems, as everybody else's are."""

    def read_request_headers(self) -> bool:
        """Read the headers; False: refused, and answered."""
        if not super().read_request_headers():  # type: ignore[no-untyped-call]
            return False
        if b"Transfer-Encoding" in self.inheaders and b"Content-Length" in self.inheaders:
            self.simple_response("400 Bad Request", "a length and chunks together")
            return False
        return True

    def send_headers(self) -> None:
        """Send the headers; a body that nobody read ends the connection, it is not swallowed."""
        unread = getattr(self.rfile, "remaining", 0)
        if self.chunked_read:
            unread = 0 if self.rfile.closed else _DRAIN_BYTES + 1
        if unread > _DRAIN_BYTES:
            self.close_connection = True
        super().send_headers()

    def simple_response(self, status: object, msg: str = "") -> None:
        """Answer what never reaches the application, and close."""
        code = int(str(status)[:3])
        if code == 100:
            return
        title = http.HTTPStatus(code).phrase
        body = json.dumps({"type": "about:blank", "title": title, "status": code, "detail": msg})
        self.close_connection = True
        head = (
            f"HTTP/1.1 {code} {title}\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nX-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            self.conn.wfile.write((head + body).encode("ascii"))


class Connection(HTTPConnection):
    """One client's connection. It begins in plain; see ``_encrypt``."""

    RequestHandlerClass = Request

    def __init__(self, server: Any, connection: socket.socket, makefile: object = None) -> None:
        del makefile  # cheroot's own is not patient
        self._patience = Patience()
        self._encrypted = False
        super().__init__(server, connection, self._stream)

    def _stream(self, connection: socket.socket, mode: str, size: int) -> object:
        kind = _Reader if "r" in mode else _Writer
        return kind(connection, size, self._patience)

    def communicate(self) -> bool:
        """Serve one request; whether the connection is to be kept."""
        self._patience.renew()
        if not self._encrypted and not self._encrypt(self.server.web_config):
            return False
        return bool(super().communicate())  # type: ignore[no-untyped-call]

    def _encrypt(self, web_config: WebConfig) -> bool:
        """Speak TLS from now on, where configured; False: the client was not let in."""
        # The socket is taken over by TLS; a duplicate still ends a handshake that takes too long.
        with self.socket.dup() as duplicate:
            alarm = threading.Timer(HANDSHAKE_SECONDS, _hang_up, [duplicate])
            alarm.daemon = True
            alarm.start()
            try:
                self.socket.settimeout(HANDSHAKE_SECONDS)
                wrapped = web_config.wrap(self.socket)
            except OSError as error:
                log.info(
                    "connection refused",
                    extra={"client": self.remote_addr, "reason": _reason(error)},
                )
                return False
            finally:
                alarm.cancel()
        self._encrypted = True
        if isinstance(wrapped, ssl.SSLSocket):
            self.socket = wrapped
            self.rfile = self._stream(wrapped, "rb", self.rbufsize)
            self.wfile = self._stream(wrapped, "wb", self.wbufsize)
            self.ssl_env = {
                "wsgi.url_scheme": "https",
                CERTIFICATE: certificate_names(wrapped.getpeercert() or {}),
            }
        return True

    def close(self) -> None:
        """Close it; what could not be written in time is not tried again by the collector."""
        self.wfile._write_buf.clear()
        with contextlib.suppress(OSError):
            self.wfile.close()
        super().close()

    def _close_kernel_socket(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


def certificate_names(certificate: Any) -> tuple[str, ...]:
    """Return the common name and the alternative names of a verified ``certificate``."""
    common = [
        value
        for part in certificate.get("subject", ())
        for name, value in part
        if name == "commonName"
    ]
    alternative = [str(value) for _, value in certificate.get("subjectAltName", ())]
    return tuple(dict.fromkeys([*common, *alternative]))


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error)
