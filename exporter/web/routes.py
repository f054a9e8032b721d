"""What the exporter answers: the scrape, health, reload, and a landing page."""

from __future__ import annotations

from collections.abc import Callable

from exporter.collector import exposition
from exporter.collector.scraper import Scraper
from exporter.web.http_messages import Request, Response
from exporter.web.http_server import Application
from toolkit import VERSION
from toolkit.settings import ConfigError

Allows = Callable[[str | None], bool]
"""Whether a request with this Authorization header may pass."""

_HTML = "text/html; charset=utf-8"


def application(scraper: Scraper, telemetry_path: str, allows: Allows) -> Application:
    """Return the application: every path asks for authentication where any is configured."""
    routes: dict[str, tuple[tuple[str, ...], Callable[[], Response]]] = {
        "/": (("GET", "HEAD"), lambda: _landing(scraper, telemetry_path)),
        telemetry_path: (("GET", "HEAD"), lambda: _metrics(scraper)),
        "/-/healthy": (("GET", "HEAD"), lambda: Response(body=b"memleash-exporter is healthy.\n")),
        "/-/ready": (("GET", "HEAD"), lambda: Response(body=b"memleash-exporter is ready.\n")),
        "/-/reload": (("POST", "PUT"), lambda: _reload(scraper)),
    }

    def answer(request: Request) -> Response:
        if not allows(request.headers.get("authorization")):
            return Response(
                401, b"Unauthorized\n", headers={"WWW-Authenticate": 'Basic realm="memleash"'}
            )
        if request.path not in routes:
            return Response(404, b"Not Found\n")
        methods, handle = routes[request.path]
        if request.method not in methods:
            return Response(405, b"Method Not Allowed\n", headers={"Allow": ", ".join(methods)})
        return handle()

    return answer


def _metrics(scraper: Scraper) -> Response:
    return Response(body=scraper.scrape(), content_type=exposition.CONTENT_TYPE)


def _reload(scraper: Scraper) -> Response:
    try:
        scraper.reload()
    except ConfigError as error:
        return Response(400, f"configuration not reloaded: {error}\n".encode())
    return Response(body=b"configuration reloaded\n")


def _landing(scraper: Scraper, telemetry_path: str) -> Response:
    from html import escape  # noqa: PLC0415 - costs memory that scrapes never need

    agents = "\n".join(f"<li>{escape(name)}</li>" for name in scraper.agent_names())
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
    return Response(body=page.encode(), content_type=_HTML)
