"""A bare Flask view on the responder's own server, which stores nothing: the floor."""

from __future__ import annotations

import sys
import threading

from cheroot.wsgi import Server
from flask import Flask, Response, request

from responder.web.server import CONNECTIONS, THREADS


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

    server = Server(("127.0.0.1", port), app, numthreads=THREADS, request_queue_size=128)
    server.keep_alive_conn_limit = CONNECTIONS
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
