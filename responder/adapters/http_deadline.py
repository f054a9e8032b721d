"""Sockets below requests that keep to one deadline for a whole exchange, and can be cancelled.

requests has no way to hand a deadline down to the socket: its timeout is for each recv. One
request is one thread's work, so a context variable carries the limits there.
"""

from __future__ import annotations

import contextvars
import dataclasses
import http.client
import io
import socket
import time
from collections.abc import Callable
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter

_LOOK_EVERY_SECONDS = 0.5


class CancelledError(OSError):
    """Cancelled, in the only kind of error that passes through urllib3 and requests in order."""


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What one exchange may take; the socket looks at it before each recv."""

    deadline: float
    cancelled: Callable[[], bool]

    def remaining_seconds(self) -> float:
        """Return what is left, up to the next look at ``cancelled``. Raises OSError."""
        if self.cancelled():
            raise CancelledError("cancelled")
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("no whole answer in time")
        return min(remaining, _LOOK_EVERY_SECONDS)


limits: contextvars.ContextVar[Limits] = contextvars.ContextVar("limits")
"""The limits of the exchange that this thread is in."""


class _TimedSocket(io.RawIOBase):
    """A socket's reading side that keeps to the request's limits, however slowly bytes come."""

    def __init__(self, sock: socket.socket, under: io.RawIOBase, kept: Limits) -> None:
        super().__init__()
        self._sock = sock
        self._under = under  # closing it gives the socket back, as socket.makefile counts
        self._limits = kept

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            self._sock.settimeout(self._limits.remaining_seconds())
            try:
                return self._sock.recv_into(buffer)
            except TimeoutError:
                continue

    def close(self) -> None:
        self._under.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        under = self.fp.detach()
        self.fp = io.BufferedReader(_TimedSocket(sock, under, limits.get()))


class _HttpConnection(urllib3.connection.HTTPConnection):
    response_class = _Response


class _HttpsConnection(urllib3.connection.HTTPSConnection):
    response_class = _Response


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class DeadlineAdapter(HTTPAdapter):
    """requests' adapter on such sockets."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
