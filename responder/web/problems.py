"""Errors as application/problem+json (RFC 9457), the same for every route."""

from __future__ import annotations

import json
import logging

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from responder.core.alerts import PayloadError
from responder.errors import BacklogFull, DatabaseUnavailable

log = logging.getLogger(__name__)


class Problem(Exception):
    """A request that cannot be served: ``status`` is the HTTP status, ``detail`` for people."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        self.status, self.title, self.detail = status, title, detail
        super().__init__(detail)


def problem(status: int, title: str, detail: str) -> Response:
    """Return the answer for a problem."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    response = Response(json.dumps(body), status=status, content_type="application/problem+json")
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response


def handle_problems(app: Flask) -> None:
    """Answer every error of ``app`` as a problem."""

    @app.errorhandler(Problem)
    def _problem(error: Problem) -> Response:
        return problem(error.status, error.title, error.detail)

    @app.errorhandler(PayloadError)
    def _payload(error: PayloadError) -> Response:
        return problem(400, "Bad notification", str(error))

    @app.errorhandler(BacklogFull)
    @app.errorhandler(DatabaseUnavailable)
    def _try_again(error: Exception) -> Response:
        log.error("not stored; the sender tries again", extra={"reason": str(error)})
        return problem(503, "Try again", str(error))

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        answer = problem(error.code or 500, error.name, error.description or "")
        for name, value in error.get_headers():
            if name.lower() not in ("content-type", "content-length"):
                answer.headers[name] = value
        return answer

    @app.errorhandler(Exception)
    def _unexpected(_error: Exception) -> Response:
        log.exception("request failed")
        return problem(500, "Internal error", "an unexpected error; see the responder's log")
