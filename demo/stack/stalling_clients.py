"""Clients that hold connections without ever sending a whole request: idle, half, dripping."""

from __future__ import annotations

import contextlib
import itertools
import resource
import selectors
import socket
import threading
import time
from collections.abc import Iterator

HALF = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\nX: "
DRIP_SECONDS = 0.2
"""Between two bytes of a dripping client."""


OWN_FILES = 100
"""What whoever lays a siege has open beside it."""


class Siege:
    """Holds ``count`` connections to a port of this machine, a third of each kind.

    Whoever is hung up on comes again at once. ``opened`` counts all that were ever opened.
    """

    def __init__(self, port: int, count: int) -> None:
        self.opened = 0
        self._port, self._count = port, count
        self._kinds = itertools.cycle((b"", HALF, HALF[:1]))
        self._dripping: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._ending = threading.Event()

    @contextlib.contextmanager
    def laid(self) -> Iterator[Siege]:
        """Lay it, in a thread of its own, until the block ends.

        Raises OSError where not enough files may be open.
        """
        wanted = self._count + OWN_FILES
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if allowed < wanted:
            raise OSError(
                f"{wanted} open files are wanted, {allowed} allowed: `ulimit -n {wanted}`"
            )
        for _ in range(self._count):
            self._come(next(self._kinds))
        thread = threading.Thread(target=self._hold, name="siege")
        thread.start()
        try:
            yield self
        finally:
            self._ending.set()
            thread.join()
            for key in list(self._selector.get_map().values()):
                self._leave(key.fileobj)  # type: ignore[arg-type]
            self._selector.close()

    def _come(self, first: bytes) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        self.opened += 1
        self._selector.register(connection, selectors.EVENT_READ, first)
        if first == HALF[:1]:
            self._dripping.add(connection)
        with contextlib.suppress(OSError):
            connection.sendall(first)

    def _leave(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        self._dripping.discard(connection)
        connection.close()

    def _hold(self) -> None:
        drip_at = time.monotonic()
        while not self._ending.is_set():
            for key, _ in self._selector.select(DRIP_SECONDS):
                self._leave(key.fileobj)  # type: ignore[arg-type] # hung up on, or answered 408
                self._come(key.data)
            if time.monotonic() < drip_at:
                continue
            drip_at = time.monotonic() + DRIP_SECONDS
            for connection in self._dripping:
                with contextlib.suppress(OSError):
                    connection.sendall(b"x")
