"""What the exporter answers: the scrape, health, reload, and a landing page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING

from prometheus_client import make_wsgi_app

from memleash_exporter.collector.agents_collector import AgentsCollector
from memleash_toolkit import VERSION
from memleash_toolkit.accept_header import accepted
from memleash_toolkit.http_exchange import Response
from memleash_toolkit.settings import ConfigError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Allows = Callable[[str | None], bool]
"""Whether a request with this Authorization header may pass."""

_TEXT = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_READ, _WRITE = ("GET", "HEAD"), ("POST", "PUT")


def application(collector: AgentsCollector, telemetry_path: str, allows: Allows) -> WSGIApplication:
    """Return the application: every path asks for authentication where any is configured."""
    metrics: WSGIApplication = make_wsgi_app(collector.registry)
    routes: dict[str, tuple[tuple[str, ...], Callable[[], Response]]] = {
        "/": (_READ, lambda: _landing(collector, telemetry_path)),
        "/-/healthy": (_READ, lambda: _text(200, "memleash-exporter is healthy.")),
        "/-/ready": (_READ, lambda: _text(200, "memleash-exporter is ready.")),
        "/-/reload": (_WRITE, lambda: _reload(collector)),
    }

    def respond(environ: WSGIEnvironment) -> Response | None:
        """Return the answer; None: it is for prometheus_client's own application."""
        if not allows(environ.get("HTTP_AUTHORIZATION")):
            return _text(401, "Unauthorized", ("WWW-Authenticate", 'Basic realm="memleash"'))
        if environ["PATH_INFO"] == telemetry_path:
            return None if environ["REQUEST_METHOD"] in _READ else _not_allowed(_READ)
        if environ["PATH_INFO"] not in routes:
            return _text(404, "Not Found")
        methods, handle = routes[environ["PATH_INFO"]]
        return handle() if environ["REQUEST_METHOD"] in methods else _not_allowed(methods)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        response = respond(environ)
        if response is None:
            # The server leaves the body of a HEAD out; the library knows no HEAD.
            accept = accepted(environ.get("HTTP_ACCEPT"))
            understood = {**environ, "REQUEST_METHOD": "GET", "HTTP_ACCEPT": accept}
            return metrics(understood, start_response)
        status = f"{response.status} {HTTPStatus(response.status).phrase}"
        start_response(status, [*response.headers, ("X-Content-Type-Options", "nosniff")])
        return [response.body]

    return answer


def _text(status: int, line: str, *headers: tuple[str, str]) -> Response:
    return Response(status, (("Content-Type", _TEXT), *headers), f"{line}\n".encode())


def _not_allowed(methods: tuple[str, ...]) -> Response:
    return _text(405, "Method Not Allowed", ("Allow", ", ".join(methods)))


def _reload(collector: AgentsCollector) -> Response:
    try:
        collector.reload()
    except ConfigError as error:
        return _text(400, f"configuration not reloaded: {error}")
    return _text(200, "configuration reloaded")


def _landing(collector: AgentsCollector, telemetry_path: str) -> Response:
    agents = "\n".join(f"<li>{escape(name)}</li>" for name in collector.agent_names())
    links = "\n".join(
        f'<li><a href="{escape(path)}">{text}</a></li>'
        for path, text in (
            (telemetry_path, "Metrics"),
            ("/-/healthy", "Healthy"),
            ("/-/ready", "Ready"),
        )
    )
    page = f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>memleash exporter</title></head>
<body style="font-family: sans-serif; margin: 2rem">
<h1>memleash exporter</h1>
<p>Version {VERSION}. Memory, busyness and readiness of this host's agents.</p>
<h2>Agents</h2>
<ul>
{agents}
</ul>
<h2>Links</h2>
<ul>
{links}
</ul>
</body>
</html>
"""
    return Response(200, (("Content-Type", _HTML),), page.encode())
