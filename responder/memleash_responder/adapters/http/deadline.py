"""Sockets below requests that keep to one deadline for a whole exchange.

requests has no way to hand a deadline down to the socket: its timeout is for each recv. One
request is one thread's work, so a context variable carries the deadline there.
"""

from __future__ import annotations

import contextvars
import http.client
import io
import socket
import time
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter

deadline: contextvars.ContextVar[float] = contextvars.ContextVar("deadline")
"""When the exchange that this thread is in must be over, by time.monotonic()."""


class _TimedSocket(io.RawIOBase):
    """A socket's reading side that keeps to a deadline, however slowly bytes come."""

    def __init__(self, sock: socket.socket, under: io.RawIOBase, until: float) -> None:
        super().__init__()
        self._sock = sock
        self._under = under  # closing it gives the socket back, as socket.makefile counts
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_seconds = self._until - time.monotonic()
        if left_seconds <= 0:
            raise TimeoutError("no whole answer in time")
        self._sock.settimeout(left_seconds)
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        self._under.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        under = self.fp.detach()
        self.fp = io.BufferedReader(_TimedSocket(sock, under, deadline.get()))

    def begin(self) -> None:
        """Read the headers; the connection ends with this answer, whether the peer says so or not.

        A peer that closes without a word would be sent the next request while it does.
        """
        super().begin()
        self.will_close = True


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

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        """As requests does it, but with an IPv6 zone as the resolver takes it.

        requests writes its percent sign out as %25, and ``fe80::1%25eth0`` is looked up as a name.
        """
        place, pool = super().build_connection_pool_key_attributes(*args, **kwargs)
        host = place["host"].replace("%25", "%")
        return {**place, "host": f"[{host}]" if "%" in host else host}, pool
