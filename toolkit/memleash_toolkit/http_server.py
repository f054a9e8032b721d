"""The HTTP server of both programs: an event loop reads whole requests, threads answer them.

A client that is slow, idle or silent costs a row in a table and no thread, each of its waits has
an end, and when the table is full it is the first to go: the one that has waited longest, of the
address that has most. So whoever comes with a whole request is served.

h11 on asyncio rather than uvicorn, waitress or cheroot: docs/design.md says why.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from memleash_toolkit import wsgi
from memleash_toolkit.http_connection import Connection, Patience, Service
from memleash_toolkit.http_exchange import Refused, Request, Response, Sizes, problem
from memleash_toolkit.web_config import Encryption, WebConfig
from memleash_toolkit.wsgi import Peer

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

log = logging.getLogger(__name__)

_STOP_SECONDS = 2.0
_SAID_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What clients may take of the process."""

    sizes: Sizes = dataclasses.field(default_factory=Sizes)
    patience: Patience = dataclasses.field(default_factory=Patience)
    threads: int = 4
    """Requests that are answered at once."""
    connections: int = 512
    held_bytes: int = 256 * 1024**2
    """Bodies and answers in memory for clients, together."""


@dataclasses.dataclass(slots=True, eq=False)
class _Client:
    """A connection, as the table has it. One whose request is being answered is not shed."""

    address: tuple[str, int]
    task: asyncio.Task[None] | None = None
    held_bytes: int = 0
    answered: bool = False


class HttpServer:
    """Serves a WSGI application in threads of its own, until it is stopped."""

    def __init__(
        self,
        application: WSGIApplication,
        address: tuple[str, int],
        web_config: WebConfig,
        limits: Limits | None = None,
    ) -> None:
        """Take the address: host and port; port 0 is any, no host every interface.

        Raises OSError when it cannot be had.
        """
        self._application = application
        self._web_config = web_config
        self._limits = limits or Limits()
        self._socket = _bound(*address)
        self._host, self.port = self._socket.getsockname()[:2]
        self._clients: dict[_Client, None] = {}
        """Those whose last request is longest ago come first."""
        self._pool = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="web")
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._said_at = float("-inf")

    def serve(self) -> None:
        """Begin to answer."""
        self._thread.start()

    @property
    def address(self) -> str:
        """``host:port`` as bound."""
        return f"[{self._host}]:{self.port}" if ":" in self._host else f"{self._host}:{self.port}"

    def stop(self) -> None:
        """Stop listening, and give the requests that are being answered a moment to end."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(2 * _STOP_SECONDS)
        self._socket.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        accepting = asyncio.create_task(self._accept())
        await self._stopping.wait()
        accepting.cancel()
        for client in list(self._clients):
            if client.task is not None and not client.answered:
                client.task.cancel()
        if tasks := [client.task for client in self._clients if client.task is not None]:
            await asyncio.wait(tasks, timeout=_STOP_SECONDS)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._socket)
            except OSError as error:  # no descriptor is left
                log.warning("connection not accepted", extra={"reason": error})
                self._shed(lambda _: 1)
                await asyncio.sleep(0.1)
                continue
            full = len(self._clients) >= self._limits.connections
            if full and not self._shed(lambda _: 1):
                connection.close()
                continue
            client = _Client(address[:2])
            self._clients[client] = None
            client.task = loop.create_task(self._attend(client, connection))
            await asyncio.sleep(0)  # sock_accept lets nobody else run while more are waiting

    def _shed(self, weight: Callable[[_Client], int]) -> bool:
        """Hang up on who waits, of the address whose weight is largest; False: nobody waits."""
        waiting = [client for client in self._clients if not client.answered]
        taken: Counter[str] = Counter()
        for client in waiting:
            taken[client.address[0]] += weight(client)
        if not taken:
            return False
        greediest = max(taken, key=taken.__getitem__)
        victim = next(client for client in waiting if client.address[0] == greediest)
        del self._clients[victim]
        if victim.task is not None:
            victim.task.cancel()
        now = self._loop.time()
        if now - self._said_at > _SAID_SECONDS:
            self._said_at = now
            log.warning(
                "too many clients wait; the idlest are hung up on",
                extra={"connections": len(self._clients), "address": victim.address[0]},
            )
        return True

    async def _attend(self, client: _Client, connection: socket.socket) -> None:
        """Serve one client until it goes, or is made to."""
        writer = None
        try:
            encryption = self._web_config.encryption()
            reader, writer, peer = await self._opened(client, connection, encryption)
            service = Service(
                answer=lambda request: self._answer(client, peer, request),
                hold=lambda held_bytes: self._hold(client, held_bytes),
                keeps=lambda: not self._stopping.is_set(),
                stands=lambda: self._web_config.encryption() is encryption,
            )
            limits = self._limits
            await Connection(reader, writer, service, limits.sizes, limits.patience).converse()
        except OSError as error:  # TLS was refused; or, once it was open: gone, or too slow
            level = logging.INFO if writer is None else logging.DEBUG
            log.log(level, "connection ended", extra={"client": client.address[0], "reason": error})
        except Exception:  # a connection's boundary: the others are served on
            log.exception("connection broke", extra={"client": client.address[0]})
        finally:
            self._clients.pop(client, None)
            if writer is not None:
                writer.transport.abort()

    async def _opened(
        self, client: _Client, connection: socket.socket, encryption: Encryption | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Peer]:
        """Return the two directions of ``connection``, encrypted where configured.

        Raises OSError for a client that TLS does not let in.
        """
        loop = asyncio.get_running_loop()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        patience = self._limits.patience
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            connection,
            ssl=encryption.context if encryption else None,
            ssl_handshake_timeout=patience.handshake if encryption else None,
            ssl_shutdown_timeout=patience.linger if encryption else None,
        )
        names: tuple[str, ...] = ()
        if encryption is not None:
            try:
                names = encryption.names(transport.get_extra_info("ssl_object"))
            except OSError:
                transport.abort()
                raise
        server = transport.get_extra_info("sockname")[:2]
        peer = Peer(client.address, server, encrypted=encryption is not None, certificate=names)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop), peer

    async def _answer(self, client: _Client, peer: Peer, request: Request) -> Response:
        client.answered = True
        try:
            environ = wsgi.environment(request, peer)
            return await self._loop.run_in_executor(
                self._pool, wsgi.run, self._application, environ
            )
        except Refused as error:
            return error.response()
        except Exception:  # a request's boundary: the next one must be served
            log.exception("request failed", extra={"path": request.target[:200]})
            return problem(500, "an unexpected error; see the log")
        finally:
            client.answered = False
            if client in self._clients:  # it has waited for the shortest time now
                del self._clients[client]
                self._clients[client] = None

    def _hold(self, client: _Client, held_bytes: int) -> None:
        client.held_bytes = held_bytes
        while sum(one.held_bytes for one in self._clients) > self._limits.held_bytes:
            if not self._shed(lambda one: one.held_bytes):
                return


def _bound(host: str, port: int) -> socket.socket:
    """Return a listening socket; without a host, of every interface and both families."""
    everywhere = not host
    if everywhere:
        host = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    dual = everywhere and family == socket.AF_INET6
    listener = socket.create_server(address[:2], family=family, backlog=1024, dualstack_ipv6=dual)
    listener.setblocking(False)
    return listener
