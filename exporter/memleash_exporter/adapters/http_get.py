"""One GET with one deadline over all of it: what a probe needs, by the standard library.

Redirects are not followed: what they lead to is not what was asked about. http.client's own
timeout starts anew with every byte that drips in, so the connection is shut at the deadline.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator

from memleash_exporter.errors import ProbeFailed
from memleash_toolkit.addresses import Url

_MAX_BODY_BYTES = 65536
_HEADERS = {
    "Accept": "application/json, */*",
    "User-Agent": "memleash-exporter",
    "Connection": "close",
}
_LATE = "no answer in time"
_CUT_SHORT = "the answer is cut short"


def get(url: Url, timeout: float, *, with_body: bool = True) -> tuple[int, bytes]:
    """Return status and body (empty unless ``with_body``) of a GET within ``timeout`` seconds.

    Raises ProbeFailed when there is no whole answer by then.
    """
    late = threading.Event()
    try:
        with _connected(url, timeout, late) as connection:
            connection.request("GET", url.target, headers=_HEADERS)
            response = connection.getresponse()
            body = response.read(_MAX_BODY_BYTES + 1) if with_body else b""
    except (OSError, http.client.HTTPException) as error:
        raise ProbeFailed(_why(error, late)) from error
    if late.is_set():
        raise ProbeFailed(_LATE)
    if len(body) > _MAX_BODY_BYTES:
        raise ProbeFailed(f"the body is over {_MAX_BODY_BYTES} bytes")
    if with_body and response.length:
        raise ProbeFailed(_CUT_SHORT)
    return response.status, body


@contextlib.contextmanager
def _connected(
    url: Url, timeout: float, late: threading.Event
) -> Iterator[http.client.HTTPConnection]:
    """Hold a connection that is shut, and ``late`` set, once ``timeout`` seconds are over."""
    deadline = time.monotonic() + timeout
    name = url.host.partition("%")[0]  # an IPv6 zone means something on this host alone
    with (
        socket.create_connection((url.host, url.port), timeout=timeout) as plain,
        plain.dup() as line,  # the same connection, whatever TLS makes of ``plain``
    ):

        def shut() -> None:
            late.set()
            with contextlib.suppress(OSError):  # the other side may have ended it
                line.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(max(0.0, deadline - time.monotonic()), shut)
        timer.start()
        try:
            with contextlib.closing(http.client.HTTPConnection(name, url.port)) as connection:
                connection.sock = _encrypted(plain, name) if url.scheme == "https" else plain
                yield connection
        finally:
            timer.cancel()


def _encrypted(plain: socket.socket, host: str) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def _why(error: OSError | http.client.HTTPException, late: threading.Event) -> str:
    if late.is_set() or isinstance(error, TimeoutError):
        return _LATE
    if isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead):
        return _CUT_SHORT
    if isinstance(error, OSError):
        return str(error.strerror or error)
    return f"the answer is not HTTP: {error!r:.200}"
