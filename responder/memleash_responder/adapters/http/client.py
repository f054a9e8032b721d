"""HTTP for the other adapters: a whole answer within a deadline and a size, or an error.

What requests leaves open is closed here:
1. Its timeout is for each recv, so that a peer that drips holds the caller for ever: here one
   deadline covers connecting, headers and body.
2. A body has no limit there, and is unpacked as it comes: here it has one, and is not.
3. Credentials and certificates are read from their files at each use, so that they can rotate.
4. Environment, netrc, cookies and redirects are not believed: a request goes where the
   configuration says and nowhere else, and its credentials with it.
5. It lets ValueErrors through, for a timeout of 0 or an odd name: here they are HttpErrors, too.
6. A connection is used once. A kept one may be closed by the peer in the moment a POST is sent,
   and then nobody knows whether it was heard.
"""

from __future__ import annotations

import dataclasses
import http.cookiejar
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import requests
import urllib3
from requests.auth import AuthBase, HTTPBasicAuth

from memleash_responder.adapters.http.deadline import DeadlineAdapter, deadline
from memleash_responder.core.untrusted import line
from memleash_responder.http_settings import HttpConfig
from memleash_toolkit.documents import DocumentError, parse_json

MAX_BODY_BYTES = 8 * 1024 * 1024
_HEADERS = {
    "User-Agent": "memleash-responder",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


class HttpError(Exception):
    """No usable answer; the request may have been heard."""


class NotSent(HttpError):
    """No connection, or no credentials: the request was surely not heard."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    asked: str
    """``GET http://…``, for messages."""

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the body as JSON. Raises HttpError."""
        try:
            return parse_json(self.body)
        except DocumentError as error:
            raise HttpError(f"{self.asked}: the answer is not JSON: {self.excerpt()}") from error

    def json_object(self) -> dict[str, Any]:
        """Return the JSON object that an answer of 200 is. Raises HttpError."""
        if self.status != 200:
            raise HttpError(self.describe())
        body = self.json()
        if not isinstance(body, dict):
            raise HttpError(f"{self.asked}: the answer is not an object: {self.excerpt()}")
        return body

    def describe(self) -> str:
        """Return the status and the beginning of the body, for messages."""
        text = f"{self.asked}: answered {self.status}"
        if 300 <= self.status < 400:
            where = line(self.headers.get("Location", "nowhere"))
            return f"{text} to '{where}'; redirects are not followed, configure the final URL"
        return f"{text}: {self.excerpt()}" if self.body else text

    def excerpt(self) -> str:
        """Return the beginning of the body on one line."""
        return line(self.body[:2000].decode("utf-8", "replace"), 200)


def session(config: HttpConfig) -> requests.Session:
    """Return a session that speaks as ``config`` says; it may be used by many threads."""
    result = requests.Session()
    result.trust_env = False
    result.headers.update(_HEADERS)
    result.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    result.auth = _Credentials(config)
    tls = config.tls_config
    if tls.insecure_skip_verify:
        result.verify = False
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # it was asked for
    elif tls.ca_file is not None:
        result.verify = str(tls.ca_file)
    if tls.cert_file is not None and tls.key_file is not None:
        result.cert = (str(tls.cert_file), str(tls.key_file))
    adapter = DeadlineAdapter()
    result.mount("http://", adapter)
    result.mount("https://", adapter)
    return result


def request(
    session: requests.Session,
    method: str,
    url: str,
    *,
    timeout_seconds: float,
    max_bytes: int = MAX_BODY_BYTES,
    **arguments: Any,
) -> Answer:
    """Return the whole answer to one request; ``arguments`` are requests' own (json, params).

    Raises NotSent, or HttpError when the request may have been heard.
    """
    asked = f"{method} {_without_userinfo(url)}"
    token = deadline.set(time.monotonic() + timeout_seconds)
    try:
        timeout = urllib3.Timeout(total=timeout_seconds)
        with session.request(
            method,
            url,
            timeout=cast(Any, timeout),  # the stubs know only numbers, requests takes it as it is
            allow_redirects=False,
            stream=True,
            **arguments,
        ) as response:
            body = _read(response, max_bytes, asked)
            return Answer(response.status_code, response.headers, body, asked)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise _translated(error, asked, timeout_seconds) from error
    finally:
        deadline.reset(token)


def _read(response: requests.Response, max_bytes: int, asked: str) -> bytes:
    body = bytearray()
    # Not unpacked, whatever it says that it is: a few kilobytes of gzip may be gigabytes.
    for chunk in response.raw.stream(64 * 1024, decode_content=False):
        body += chunk
        if len(body) > max_bytes:
            raise HttpError(f"{asked}: the answer is larger than {max_bytes} bytes")
    return bytes(body)


def _translated(error: Exception, asked: str, timeout_seconds: float) -> HttpError:
    roots = _roots(error)
    for root in roots:
        if isinstance(root, urllib3.exceptions.NameResolutionError):
            return NotSent(f"{asked}: the name cannot be resolved")
        if isinstance(root, urllib3.exceptions.NewConnectionError):
            return NotSent(f"{asked}: no connection: {_short(roots[-1])}")
        if isinstance(root, urllib3.exceptions.ConnectTimeoutError):
            return NotSent(f"{asked}: no connection within {timeout_seconds:.3g} s")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return NotSent(f"{asked}: not a URL that can be asked")
    if any(isinstance(root, TimeoutError | urllib3.exceptions.TimeoutError) for root in roots):
        return HttpError(f"{asked}: no whole answer within {timeout_seconds:.3g} s")
    return HttpError(f"{asked}: {_short(roots[-1])}")


def _roots(error: BaseException) -> list[BaseException]:
    """Return ``error`` and what it wraps, outermost first; urllib3 hides causes in three places."""
    chain: list[BaseException] = []
    following: object = error
    while isinstance(following, BaseException) and following not in chain:
        chain.append(following)
        inner = [getattr(following, "reason", None), following.__cause__, *following.args]
        inner.append(following.__context__)
        following = next((one for one in inner if isinstance(one, BaseException)), None)
    return chain


def _short(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return line(str(text), 200)


def _without_userinfo(url: str) -> str:
    return re.sub(r"(?<=://)[^/?#]*@", "", url)


class _Credentials(AuthBase):
    """Puts the Authorization and the configured headers on, reading files at each use."""

    def __init__(self, config: HttpConfig) -> None:
        self._config = config

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        basic, bearer = self._config.basic_auth, self._config.authorization
        if basic is not None:
            password = read_secret(basic.password_file) if basic.password_file else basic.password
            user = basic.username.encode()
            HTTPBasicAuth(user, password.encode())(request)
        elif bearer is not None:
            secret = bearer.credentials
            if bearer.credentials_file is not None:
                secret = read_secret(bearer.credentials_file)
            request.headers["Authorization"] = f"{bearer.type} {secret}"
        for name, header in self._config.http_headers.items():
            read = [read_secret(file) for file in header.files]
            request.headers[name] = ", ".join([*header.values, *header.secrets, *read])
        return request


def read_secret(file: Path) -> str:
    """Return the one line that a file of credentials holds. Raises NotSent."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotSent(f"{file}: the credentials cannot be read: {_short(error)}") from error
    if not text or not text.isprintable() or not text.isascii():
        raise NotSent(f"{file}: the credentials must be one line of plain ASCII text")
    return text
