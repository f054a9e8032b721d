"""What every route answers alike: problems (RFC 9457), pages for browsers, and ETags.

Whoever polls is told 304 as long as nothing has changed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from memleash_responder.core.alerts import PayloadError
from memleash_responder.errors import (
    BacklogFull,
    Conflict,
    DatabaseUnavailable,
    NotFound,
    NotPossible,
    PeerRefused,
)
from memleash_toolkit.http_exchange import Refused

log = logging.getLogger(__name__)

Headers = Sequence[tuple[str, str]]

_STATUSES: dict[type[NotPossible], int] = {NotFound: 404, Conflict: 409, PeerRefused: 502}


class Problem(Exception):
    """A request that cannot be served: ``status`` is the HTTP status, ``detail`` for people."""

    def __init__(self, status: int, title: str, detail: str, headers: Headers = ()) -> None:
        self.status, self.title, self.detail, self.headers = status, title, detail, headers
        super().__init__(detail)


def problem(status: int, title: str, detail: str, headers: Headers = ()) -> Response:
    """Return the answer for a problem."""
    if _wants_page():
        page = render_template("problem.html", status=status, title=title, detail=detail)
        response = Response(page, status=status, content_type="text/html; charset=utf-8")
    else:
        body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        response = Response(
            json.dumps(body), status=status, content_type="application/problem+json"
        )
    response.headers.extend(headers)
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response


def _wants_page() -> bool:
    programs = request.path.startswith(("/api/", "/-/", "/metrics"))
    return not programs and request.accept_mimetypes.accept_html and "Accept" in request.headers


def handle_problems(app: Flask) -> None:
    """Answer every error of ``app`` as a problem."""

    @app.errorhandler(Problem)
    def _problem(error: Problem) -> Response:
        return problem(error.status, error.title, error.detail, error.headers)

    @app.errorhandler(NotPossible)
    def _not_possible(error: NotPossible) -> Response:
        return problem(_STATUSES[type(error)], error.title, str(error))

    @app.errorhandler(PayloadError)
    def _payload(error: PayloadError) -> Response:
        return problem(400, "Bad notification", str(error))

    @app.errorhandler(BacklogFull)
    @app.errorhandler(DatabaseUnavailable)
    def _try_again(error: Exception) -> Response:
        log.error("not stored; the sender tries again", extra={"reason": str(error)})
        return problem(503, "Try again", str(error))

    @app.errorhandler(Refused)
    def _refused(error: Refused) -> Response:
        return problem(error.status, "Try again", error.detail)

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        headers = [
            (name, value)
            for name, value in error.get_headers()
            if name.lower() not in ("content-type", "content-length")
        ]
        return problem(error.code or 500, error.name, error.description or "", headers)

    @app.errorhandler(Exception)
    def _unexpected(_error: Exception) -> Response:
        log.exception("request failed")
        return problem(500, "Internal error", "an unexpected error; see the responder's log")


_POLLED = ("application/json", "text/html", "text/css", "text/javascript", "image/svg+xml")

_DATES = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE")
"""ETags alone are compared: a date beyond all numbers is an OverflowError in werkzeug."""


def add_etags(app: Flask) -> None:
    """Give every 200 to a GET of ``app`` an ETag, and answer 304 to who has it already."""

    @app.before_request
    def forget_dates() -> None:
        for header in _DATES:
            request.environ.pop(header, None)

    @app.after_request
    def tag(response: Response) -> Response:
        if (
            request.method != "GET"
            or response.status_code != 200
            or response.mimetype not in _POLLED
        ):
            return response
        response.add_etag()
        response.headers["Cache-Control"] = "private, no-cache"
        return response.make_conditional(request)  # type: ignore[return-value]
