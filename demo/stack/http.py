"""JSON over HTTP for the demo: a call, and what came back, whatever the status."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

Json = Any
_TIMEOUT_SECONDS = 5.0

# No proxy: everything of the stack is on loopback, whatever the environment says.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class CallFailed(Exception):
    """An HTTP call got no answer, or one other than 2xx: ``status`` is None or that answer's."""

    def __init__(self, problem: str, status: int | None = None, body: str = "") -> None:
        self.status = status
        self.body = body
        super().__init__(problem)


def call(
    method: str, url: str, body: Json = None, *, timeout_seconds: float = _TIMEOUT_SECONDS
) -> Json:
    """Return the decoded JSON (or the text) that ``url`` answers. Raises CallFailed."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with _OPENER.open(request, timeout=timeout_seconds) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            said = error.read().decode(errors="replace")
        raise CallFailed(f"{method} {url}: {error.code} {said[:500]}", error.code, said) from error
    except (OSError, http.client.HTTPException) as error:
        raise CallFailed(f"{method} {url}: {error}") from error
    try:
        return json.loads(text)
    except ValueError:
        return text


def get(url: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> Json:
    return call("GET", url, timeout_seconds=timeout_seconds)


def post(url: str, body: Json = None, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> Json:
    return call("POST", url, {} if body is None else body, timeout_seconds=timeout_seconds)


def answers(url: str) -> bool:
    """Return whether ``url`` answers 2xx within a second."""
    try:
        get(url, timeout_seconds=1.0)
    except CallFailed:
        return False
    return True


def status(port: int, method: str, path: str, body: bytes | None = None) -> int:
    """Send one request over a connection of its own; return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
