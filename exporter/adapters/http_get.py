"""One GET of HTTP/1.0 with one deadline over all of it: what a probe needs.

Spoken by hand because http.client costs 7 MB of memory in the exporter of every host and urllib 9
(they load TLS and a mail parser), because redirects must not be followed, and because their
timeouts start anew with every byte that drips in.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass

from exporter.errors import ProbeFailed
from toolkit.addresses import Url

_MAX_BODY_BYTES = 65536
_MAX_HEAD_BYTES = 16384
_STATUS = re.compile(rb"[1-5][0-9]{2}")
_LENGTH = re.compile(rb"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class _Deadline:
    at: float

    @classmethod
    def after(cls, seconds: float) -> _Deadline:
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        remaining = self.at - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("no answer in time")
        return remaining


def get(url: Url, timeout: float, *, with_body: bool = True) -> tuple[int, bytes]:
    """Return status and body (empty unless ``with_body``) of a GET within ``timeout`` seconds.

    Raises ProbeFailed when there is no whole answer by then.
    """
    deadline = _Deadline.after(timeout)
    name = url.host.partition("%")[0]  # an IPv6 zone means something on this host alone
    try:
        with socket.create_connection((url.host, url.port), timeout=timeout) as plain:
            connection = _encrypted(plain, name, deadline) if url.scheme == "https" else plain
            host = f"[{name}]" if ":" in name else name
            connection.settimeout(deadline.remaining())
            connection.sendall(
                f"GET {url.target} HTTP/1.0\r\nHost: {host}:{url.port}\r\n"
                "Accept: application/json, */*\r\nUser-Agent: memleash-exporter\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            status, headers, body = _head(connection, deadline)
            return status, _body(connection, deadline, headers, body) if with_body else b""
    except TimeoutError as error:
        raise ProbeFailed("no answer in time") from error
    except OSError as error:
        raise ProbeFailed(f"{error.strerror or error}") from error


def _encrypted(plain: socket.socket, host: str, deadline: _Deadline) -> socket.socket:
    import ssl  # noqa: PLC0415 - costs 6 MB that most hosts never need

    plain.settimeout(deadline.remaining())
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def _head(connection: socket.socket, deadline: _Deadline) -> tuple[int, dict[bytes, bytes], bytes]:
    """Return status, headers by lower-case name, and what came of the body already."""
    received = b""
    while b"\r\n\r\n" not in received:
        if len(received) > _MAX_HEAD_BYTES:
            raise ProbeFailed(f"the header is over {_MAX_HEAD_BYTES} bytes")
        chunk = _some(connection, deadline)
        if not chunk:
            raise ProbeFailed("the answer is cut short")
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    words = lines[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not _STATUS.fullmatch(words[1]):
        raise ProbeFailed("the answer is not HTTP")
    headers = (line.partition(b":") for line in lines[1:])
    return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in headers}, body


def _body(
    connection: socket.socket, deadline: _Deadline, headers: dict[bytes, bytes], body: bytes
) -> bytes:
    length = headers.get(b"content-length")
    if length is not None and not _LENGTH.fullmatch(length):
        raise ProbeFailed("the answer's Content-Length is not a number of bytes")
    expected = None if length is None else int(length)
    while expected is None or len(body) < expected:
        if max(len(body), expected or 0) > _MAX_BODY_BYTES:
            raise ProbeFailed(f"the body is over {_MAX_BODY_BYTES} bytes")
        chunk = _some(connection, deadline)
        if not chunk and expected is not None:
            raise ProbeFailed("the answer is cut short")
        if not chunk:
            return body
        body += chunk
    return body[:expected]


def _some(connection: socket.socket, deadline: _Deadline) -> bytes:
    connection.settimeout(deadline.remaining())
    return connection.recv(16384)
