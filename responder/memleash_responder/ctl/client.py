"""The responder's API as memleashctl uses it; what goes wrong is one error with an exit code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from memleash_responder.adapters.http import client as http
from memleash_responder.ctl.answers import Answered, NotUnderstood, Problem, understood
from memleash_responder.ctl.config import CtlConfig
from memleash_responder.ctl.errors import CtlError, Exit

MAX_DOWNLOAD_BYTES = 512 * 1024 * 1024
_PAGE = 500
_GZIP = b"\x1f\x8b"

T = TypeVar("T")


class Client:
    """One responder. Each method raises CtlError."""

    def __init__(self, config: CtlConfig) -> None:
        self._url = config.url.rstrip("/")
        self._timeout_seconds = config.timeout
        self._session = http.session(config.http)

    def get(self, kind: type[T], *path: str, **query: object) -> Answered[T]:
        """Return what a GET answers; query parameters that are None are left out."""
        return _shaped(kind, self._ask("GET", path, query))

    def post(
        self,
        kind: type[T],
        *path: str,
        body: Mapping[str, object] | None = None,
        timeout_seconds: float | None = None,
    ) -> Answered[T]:
        """Return what a POST answers."""
        return _shaped(kind, self._ask("POST", path, {}, body, timeout_seconds))

    def put(self, kind: type[T], *path: str, body: Mapping[str, object]) -> Answered[T]:
        """Return what a PUT answers; fields of the body that are None are left out."""
        return _shaped(kind, self._ask("PUT", path, {}, body))

    def delete(self, *path: str) -> None:
        """DELETE."""
        answer = self._ask("DELETE", path, {})
        if answer.status != 204:
            raise _stranger(answer, f"it answered {answer.status} where the responder says 204")

    def download(self, *path: str) -> bytes:
        """Return the tar.gz of a GET."""
        answer = self._ask("GET", path, {})
        if not answer.body.startswith(_GZIP):
            raise _stranger(answer, "the answer is no tar.gz")
        return answer.body

    def every(
        self, kind: type[T], name: str, *path: str, limit: int | None = None, **query: object
    ) -> Answered[list[T]]:
        """Return the list ``name``, which comes in pages, whole or its first ``limit``."""
        found: list[T] = []
        raw: list[Any] = []
        for page in self._pages(kind, name, path, limit, query):
            found += page.shape
            raw += page.json
            if limit is not None and len(found) >= limit:
                break
        return Answered(found[:limit], raw[:limit])

    def all_of(self, kind: type[T], name: str, *path: str) -> Answered[list[T]]:
        """Return the list ``name``, which comes in one piece."""
        return next(self._pages(kind, name, path, None, {}, paged=False))

    def _pages(
        self,
        kind: type[T],
        name: str,
        path: tuple[str, ...],
        limit: int | None,
        query: dict[str, object],
        *,
        paged: bool = True,
    ) -> Iterator[Answered[list[T]]]:
        offset: int | None = 0
        while offset is not None:
            place = {"limit": min(limit or _PAGE, _PAGE), "offset": offset} if paged else {}
            answer = self._ask("GET", path, {**place, **query})
            page = _shaped(dict[str, object], answer).json
            yield Answered(_part(list[kind], answer, page, name), page.get(name))  # type: ignore[valid-type]
            following = _part(int | None, answer, page, "next_offset") if paged else None
            if following is not None and following <= offset:
                raise _stranger(answer, "its pages have no end")
            offset = following

    def _ask(
        self,
        method: str,
        path: tuple[str, ...],
        query: dict[str, object],
        body: Mapping[str, object] | None = None,
        timeout_seconds: float | None = None,
    ) -> http.Answer:
        if {".", ".."} & set(path):  # would be taken for steps in the path
            raise CtlError(f"no such thing: {'/'.join(path)}", Exit.NO)
        _check_text([*path, *query.values(), *(body or {}).values()])
        # Names come from people: each is one segment, whatever it holds.
        url = "/".join([f"{self._url}/api/v1", *(quote(part, safe="") for part in path)])
        try:
            answer = http.request(
                self._session,
                method,
                url,
                timeout_seconds=timeout_seconds or self._timeout_seconds,
                max_bytes=MAX_DOWNLOAD_BYTES,
                params=_given(query),
                json=None if body is None else _given(body),
            )
        except http.HttpError as error:
            raise CtlError(str(error), Exit.UNREACHABLE) from error
        if not answer.ok:
            raise _refused(answer)
        return answer


def _given(named: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in named.items() if value is not None}


def _check_text(values: list[object]) -> None:
    """Refuse what the shell gave and is not UTF-8: no name of the responder's is."""
    for value in values:
        if isinstance(value, str) and any("\ud800" <= one <= "\udfff" for one in value):
            raise CtlError(f"{value!r} is not UTF-8 text; there can be no such name", Exit.USAGE)


def _shaped(kind: Any, answer: http.Answer) -> Answered[Any]:
    try:
        raw = answer.json()
        return Answered(understood(kind, raw), raw)
    except http.HttpError as error:
        raise _stranger(answer, "the answer is not JSON") from error
    except NotUnderstood as error:
        raise _stranger(answer, str(error)) from error


def _part(kind: Any, answer: http.Answer, raw: dict[str, Any], name: str) -> Any:
    if name not in raw:
        raise _stranger(answer, f"{name} is missing in the answer")
    try:
        return understood(kind, raw[name], f"{name} in the answer")
    except NotUnderstood as error:
        raise _stranger(answer, str(error)) from error


def _stranger(answer: http.Answer, problem: str) -> CtlError:
    return CtlError(
        f"{answer.asked}: this is not a memleash responder that is understood: {problem};"
        " see where --url leads, and whether a login page stands before it",
        Exit.UNREACHABLE,
    )


def _refused(answer: http.Answer) -> CtlError:
    """Return the error for a status other than 2xx; without a problem it is not the responder's."""
    if 300 <= answer.status < 400:
        return CtlError(answer.describe(), Exit.UNREACHABLE)
    try:
        detail: str | None = understood(Problem, answer.json()).detail
    except (http.HttpError, NotUnderstood):
        detail = None
    if answer.status in (401, 403):
        return CtlError(detail or answer.describe(), Exit.NOT_ALLOWED)
    if detail is None:
        return _stranger(answer, answer.describe().removeprefix(f"{answer.asked}: "))
    if 400 <= answer.status < 500 and answer.status not in (408, 429):
        return CtlError(detail, Exit.NO)
    return CtlError(f"{answer.asked}: {detail}", Exit.UNREACHABLE)
