"""One request and its answer as bytes: what is let through, what is refused. Touches no socket.

h11 parses; what it forgives is refused before, since a proxy in front may read it another way
(RFC 9112, sections 2.2, 5.2 and 6.3): bare line feeds, folded lines, two lengths, a length and
chunks. After chunks, whose end h11 forgives too, the connection is closed: what follows them is
never taken for a request.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus

import h11

Headers = Sequence[tuple[str, str]]

_MALFORMED = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\n[ \t]|\x00")
_FREE_CHUNKS = 1000
_CHUNK_BYTES = 256
"""What chunks must hold on average, beyond the first of them: each takes time of the event loop."""
_WHOLE_URL = re.compile(
    rb"(?:http|https)://((?:\[[0-9a-f:.]+\]|[^][/?#@:]+)(?::[0-9]*)?)([/?].*)?", re.IGNORECASE
)
_LENGTHS = re.compile(rb"\r\ncontent-length:([^\r]*)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Sizes:
    """What a client may send, in bytes."""

    head: int = 64 * 1024
    body: int = 64 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A request that came whole. ``target`` begins with a slash; names are in lower case."""

    method: str
    target: str
    headers: Headers
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Response:
    """An answer, held in memory."""

    status: int
    headers: Headers = ()
    body: bytes = b""


class Refused(Exception):
    """A request that is answered with ``status``, after which the connection is closed."""

    def __init__(self, status: int, detail: str) -> None:
        self.status, self.detail = status, detail
        super().__init__(detail)

    def response(self) -> Response:
        """Return the answer: a problem, as RFC 9457 has it."""
        return problem(self.status, self.detail)


def problem(status: int, detail: str) -> Response:
    """Return an application/problem+json."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    headers = (("Content-Type", "application/problem+json"), ("X-Content-Type-Options", "nosniff"))
    return Response(status, headers, json.dumps(body).encode())


class Exchange:
    """Takes the bytes of one request, and gives those of its answer."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=sizes.head)
        self._raw_head = bytearray()
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._whole = False
        self._chunked = False
        self._chunks = 0

    @property
    def begun(self) -> bool:
        """Whether a byte of it has come."""
        return bool(self._raw_head)

    @property
    def head_came(self) -> bool:
        """Whether only the body is still to come."""
        return self._head is not None

    @property
    def held_bytes(self) -> int:
        """What of it is in memory."""
        return len(self._raw_head) + len(self._body)

    @property
    def request(self) -> Request | None:
        """The request, once it has come whole."""
        if self._head is None or not self._whole:
            return None
        head = self._head
        headers = [(name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers]
        host, target = _addressed(head.target)
        if host is not None:
            headers = [("host", host), *(field for field in headers if field[0] != "host")]
        return Request(head.method.decode("ascii"), target, headers, bytes(self._body))

    @property
    def rest(self) -> bytes:
        """What came behind the request: the beginning of the next."""
        return self._h11.trailing_data[0]

    @property
    def reusable(self) -> bool:
        """Whether the connection may be kept, once the answer was made."""
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    def receive(self, data: bytes) -> bytes:
        """Take what came; empty: nothing more will. Return what is to be sent at once.

        Raises Refused.
        """
        try:
            if self._head is not None:
                self._h11.receive_data(data)
            elif not data:
                raise Refused(400, "the request was cut short")
            else:
                self._take_head(data)
            if self._head is None:
                return b""
            self._take_body()
            return self._go_ahead()
        except h11.RemoteProtocolError as error:
            raise Refused(error.error_status_hint, str(error)) from error

    def _take_head(self, data: bytes) -> None:
        """Look at what came of the head, and once it is whole have it parsed. Raises Refused."""
        raw, looked_at = self._raw_head, max(len(self._raw_head) - 3, 0)
        raw += data
        end = raw.find(b"\r\n\r\n", looked_at)
        until = len(raw) if end < 0 else end + 4
        if until > self._sizes.head:
            raise Refused(431, f"the headers are larger than {self._sizes.head} bytes")
        if _MALFORMED.search(raw, looked_at, until):
            raise Refused(400, "each line of a head ends with CRLF, unfolded and without NUL")
        if end < 0:
            return
        self._h11.receive_data(bytes(raw))
        del raw[until:]
        event = self._h11.next_event()
        if isinstance(event, h11.Request):
            self._head = event
            self._check_head(event)

    def _check_head(self, head: h11.Request) -> None:
        """Refuse what could be read in two ways, or is not understood. Raises Refused."""
        fields = dict(head.headers)
        self._chunked = b"transfer-encoding" in fields
        lengths = _LENGTHS.findall(self._raw_head)
        if len(lengths) > 1 or any(b"," in length for length in lengths):
            raise Refused(400, "more than one Content-Length")
        if self._chunked and (lengths or head.http_version < b"1.1"):
            raise Refused(400, "Transfer-Encoding with a Content-Length, or before HTTP/1.1")
        if not head.http_version.startswith(b"1."):
            raise Refused(505, "HTTP/1.1 is spoken here")
        _addressed(head.target)
        if fields.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Refused(415, "a body is taken as it is, without a Content-Encoding")
        if lengths and int(lengths[0]) > self._sizes.body:
            raise self._too_large()

    def _take_body(self) -> None:
        while not self._whole:
            event = self._h11.next_event()
            if isinstance(event, h11.Data):
                self._body += event.data
                self._chunks += event.chunk_end
                if len(self._body) > self._sizes.body:
                    raise self._too_large()
                if self._chunks > _FREE_CHUNKS + len(self._body) // _CHUNK_BYTES:
                    raise Refused(400, "the body comes in too many small chunks")
            elif isinstance(event, h11.EndOfMessage):
                self._whole = True
            else:
                return

    def _too_large(self) -> Refused:
        return Refused(413, f"the body is larger than {self._sizes.body} bytes")

    def _go_ahead(self) -> bytes:
        """Return what a client waits for that announced a body and has not sent it yet."""
        if self._whole or not self._h11.they_are_waiting_for_100_continue:
            return b""
        return self._h11.send(h11.InformationalResponse(status_code=100, headers=[])) or b""

    def answer(self, response: Response, *, keep: bool = True) -> bytes:
        """Return the bytes of ``response``; the connection is kept where both sides want it.

        Raises h11.LocalProtocolError for a response that cannot be sent.
        """
        headers = [(name, value) for name, value in response.headers if name.lower() not in _OURS]
        headers.append(("Date", formatdate(usegmt=True)))
        bodiless = response.status in (204, 304)
        if not bodiless:
            headers.append(("Content-Length", str(len(response.body))))
        if self._chunked or not keep:
            headers.append(("Connection", "close"))
        without_body = bodiless or (self._head is not None and self._head.method == b"HEAD")
        events: list[h11.Event] = [
            h11.Response(
                status_code=response.status,
                reason=HTTPStatus(response.status).phrase,
                headers=headers,
            )
        ]
        if response.body and not without_body:
            events.append(h11.Data(data=response.body))
        events.append(h11.EndOfMessage())
        return b"".join(self._h11.send(event) or b"" for event in events)


def _addressed(target: bytes) -> tuple[str | None, str]:
    """Return host and path of a request's target; no host: its Host field says it.

    A whole URL is for proxies, but every server must understand it, and then the Host field does
    not count (RFC 9112, section 3.2.2). Raises Refused.
    """
    if target.startswith(b"/"):
        return None, target.decode("ascii")
    url = _WHOLE_URL.fullmatch(target)
    if url is None:
        raise Refused(400, "the target must be a path, or a URL of http or https")
    path = (url[2] or b"").decode("ascii")
    return url[1].decode("ascii"), path if path.startswith("/") else f"/{path}"


_OURS = frozenset({"date", "content-length", "connection", "transfer-encoding"})
"""What an answer says of the connection, and not of what was asked for."""
