"""One client's connection: requests in, answers out, and an end to every wait for the client."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import h11

from memleash_toolkit.http_exchange import Exchange, Refused, Request, Response, Sizes, problem

log = logging.getLogger(__name__)

_CHUNK_BYTES = 64 * 1024
LINGER_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Patience:
    """What a client may take, in seconds: for all of it, not for each byte."""

    handshake: float = 10.0
    head: float = 5.0
    """From the connection's begin, or from a request's first byte."""
    body: float = 30.0
    answer: float = 30.0
    """To take it."""
    idle: float = 120.0
    """Between two requests on a kept connection."""
    linger: float = 5.0
    """To read why it was refused, while it may still be sending."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a connection asks of its server."""

    answer: Callable[[Request], Awaitable[Response]]
    hold: Callable[[int], None]
    """Told how many bytes the connection has in memory."""
    keeps: Callable[[], bool]
    """Whether connections are kept for further requests."""
    stands: Callable[[], bool] = lambda: True
    """Whether new connections are encrypted as this one is, by the same certificates."""


class Connection:
    """A connection that is open."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        service: Service,
        sizes: Sizes,
        patience: Patience,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._service, self._sizes, self._patience = service, sizes, patience

    async def converse(self) -> None:
        """Answer one request after the other until either side has had enough, and close.

        Raises OSError when the client goes away.
        """
        seconds, received, keep = self._patience.head, b"", True
        while keep:
            exchange, refused = Exchange(self._sizes), False
            try:
                request = await self._request(exchange, received, seconds)
                if request is None or not self._service.stands():
                    break
                answer = self._bytes_of(await self._service.answer(request), exchange)
            except Refused as error:
                refused, answer = True, exchange.answer(error.response(), keep=False)
            await self._send(answer)
            seconds, received, keep = self._patience.idle, exchange.rest, exchange.reusable
            if not keep and (refused or received):
                await self._linger()
        await self._close()

    async def _request(self, exchange: Exchange, received: bytes, seconds: float) -> Request | None:
        """Return the next request; None: they are done, or did not begin one in ``seconds``.

        Raises Refused.
        """
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(seconds) as deadline:
                while True:
                    data = received or await self._reader.read(_CHUNK_BYTES)
                    received = b""
                    if not exchange.begun:
                        if not data:
                            return None
                        deadline.reschedule(now() + self._patience.head)
                    head_came = exchange.head_came
                    self._writer.write(exchange.receive(data))
                    self._service.hold(exchange.held_bytes)
                    if (request := exchange.request) is not None:
                        return request
                    if exchange.head_came and not head_came:
                        deadline.reschedule(now() + self._patience.body)
        except TimeoutError as error:
            if exchange.begun:
                raise Refused(408, "the request took too long to come") from error
            return None

    def _bytes_of(self, response: Response, exchange: Exchange) -> bytes:
        try:
            return exchange.answer(response, keep=self._service.keeps())
        except (h11.LocalProtocolError, UnicodeError):  # a header that would break the message
            log.exception("answer cannot be sent")
            return exchange.answer(problem(500, "an unexpected error; see the log"), keep=False)

    async def _send(self, answer: bytes) -> None:
        self._service.hold(len(answer))
        self._writer.write(answer)
        async with asyncio.timeout(self._patience.answer):
            await self._writer.drain()
        self._service.hold(0)

    async def _linger(self) -> None:
        """Let the client read our answer: closing on what it still sends would take that back."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        left = LINGER_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience.linger):
                while left > 0 and (data := await self._reader.read(_CHUNK_BYTES)):
                    left -= len(data)

    async def _close(self) -> None:
        self._writer.close()
        async with asyncio.timeout(self._patience.linger):
            await self._writer.wait_closed()
