"""The responder's API as memleashctl uses it; what goes wrong is one error with an exit code."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from responder.adapters import http
from responder.ctl.config import CtlConfig

MAX_DOWNLOAD_BYTES = 512 * 1024 * 1024


class Exit(enum.IntEnum):
    """What the exit code says."""

    DONE = 0
    """It was done, or shown."""
    NO = 1
    """The responder, a check or a restart said no, or there is no such thing."""
    USAGE = 2
    """The command line cannot be understood."""
    UNREACHABLE = 3
    """The responder did not answer, or cannot work now."""
    NOT_ALLOWED = 4
    """The credentials are missing, wrong, or of too small a role."""


class CtlError(Exception):
    """Ends the command with a message and ``code``."""

    def __init__(self, message: str, code: Exit) -> None:
        self.code = code
        super().__init__(message)


class Client:
    """One responder."""

    def __init__(self, config: CtlConfig) -> None:
        self._url = config.url.rstrip("/")
        self._timeout_seconds = config.timeout
        self._session = http.session(config.http)

    def get(self, *path: str, **query: object) -> Any:
        """Return the JSON of a GET; query parameters that are None are left out."""
        return self._ask("GET", path, query).json()

    def post(self, *path: str, body: object = None, timeout_seconds: float | None = None) -> Any:
        """Return the JSON of a POST."""
        return self._ask("POST", path, {}, body, timeout_seconds).json()

    def delete(self, *path: str) -> None:
        """DELETE."""
        self._ask("DELETE", path, {})

    def download(self, *path: str) -> bytes:
        """Return the bytes of a GET."""
        return self._ask("GET", path, {}).body

    def every(self, name: str, *path: str, limit: int | None = None, **query: object) -> list[Any]:
        """Return a list that comes in pages, whole or its first ``limit``."""
        found: list[Any] = []
        for page in self._pages(path, limit, query):
            found += page[name]
            if limit is not None and len(found) >= limit:
                return found[:limit]
        return found

    def _pages(
        self, path: tuple[str, ...], limit: int | None, query: dict[str, object]
    ) -> Iterator[dict[str, Any]]:
        offset: int | None = 0
        while offset is not None:
            page = self.get(*path, limit=min(limit or 500, 500), offset=offset, **query)
            yield page
            offset = page["next_offset"]

    def _ask(
        self,
        method: str,
        path: tuple[str, ...],
        query: dict[str, object],
        body: object = None,
        timeout_seconds: float | None = None,
    ) -> http.Answer:
        if {".", ".."} & set(path):  # would be taken for steps in the path
            raise CtlError(f"no such thing: {'/'.join(path)}", Exit.NO)
        # Names come from people: each is one segment, whatever it holds.
        url = "/".join([f"{self._url}/api/v1", *(quote(part, safe="") for part in path)])
        try:
            answer = http.request(
                self._session,
                method,
                url,
                timeout_seconds=timeout_seconds or self._timeout_seconds,
                max_bytes=MAX_DOWNLOAD_BYTES,
                params={name: value for name, value in query.items() if value is not None},
                json=body,
            )
        except http.HttpError as error:
            raise CtlError(str(error), Exit.UNREACHABLE) from error
        if not answer.ok:
            raise _refused(answer)
        return answer


def _refused(answer: http.Answer) -> CtlError:
    code = {401: Exit.NOT_ALLOWED, 403: Exit.NOT_ALLOWED}.get(
        answer.status, Exit.UNREACHABLE if answer.status in (500, 503) else Exit.NO
    )
    try:
        detail = str(answer.json()["detail"])
    except (http.HttpError, KeyError, TypeError):
        detail = answer.describe()
    return CtlError(detail, code)
