"""ETags: who polls is told 304 as long as nothing changed."""

from __future__ import annotations

from flask import Flask, Response, request

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
