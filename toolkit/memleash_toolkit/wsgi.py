"""WSGI (PEP 3333) for requests that have come whole: the environment in, a response out."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from memleash_toolkit.http_exchange import Request, Response

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

CERTIFICATE = "memleash.certificate"
"""In the environment: the names in the client's verified certificate, as a tuple."""

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


@dataclass(frozen=True, slots=True)
class Peer:
    """The two ends of a connection. ``certificate``: the names in the client's verified one."""

    client: tuple[str, int]
    server: tuple[str, int]
    encrypted: bool = False
    certificate: tuple[str, ...] = ()


def environment(request: Request, peer: Peer) -> dict[str, Any]:
    """Return what a WSGI application is called with."""
    path, _, query = request.target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "REMOTE_ADDR": peer.client[0],
        "REMOTE_PORT": str(peer.client[1]),
        "SERVER_NAME": peer.server[0],
        "SERVER_PORT": str(peer.server[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if peer.encrypted else "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        CERTIFICATE: peer.certificate,
    }
    for name, value in request.headers:
        if "_" in name or name == "content-length":
            continue  # X_Real_IP and X-Real-IP would be one here: a proxy strips only the latter
        key = name.upper().replace("-", "_")
        key = key if key == "CONTENT_TYPE" else f"HTTP_{key}"
        separator = "; " if key == "HTTP_COOKIE" else ", "
        environ[key] = f"{environ[key]}{separator}{value}" if key in environ else value
    return environ


def run(application: WSGIApplication, environ: dict[str, Any]) -> Response:
    """Return the whole response of ``application``. Raises what it raises."""
    started: tuple[str, list[tuple[str, str]]] = ("", [])
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: _ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        nonlocal started
        del exc_info  # nothing was sent yet: the new status stands in any case
        started = (status, headers)
        return written.append

    result = application(environ, start_response)
    try:
        written.extend(result)
    finally:
        if hasattr(result, "close"):
            result.close()
    status, headers = started
    return Response(int(status[:3]), headers, b"".join(written))
