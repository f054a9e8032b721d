"""A bare Flask view on the responder's own server, which stores nothing: the floor."""

from __future__ import annotations

import sys
import threading

from flask import Flask, Response, request

from memleash_responder.process import WEB_THREADS
from memleash_toolkit.http_exchange import Sizes
from memleash_toolkit.http_server import HttpServer, Limits
from memleash_toolkit.web_config import WebConfig


def main(port: int) -> None:
    """Serve ``POST /api/v1/alertmanager`` on loopback until killed."""
    app = Flask("bare")

    @app.post("/api/v1/alertmanager")
    def alertmanager() -> Response:
        request.get_json()
        return Response(status=202)

    @app.get("/-/healthy")
    def healthy() -> Response:
        return Response("healthy")

    limits = Limits(sizes=Sizes(body=64 * 1024**2), threads=WEB_THREADS)
    HttpServer(app, ("127.0.0.1", port), WebConfig(None), limits).serve()
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
