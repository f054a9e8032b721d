"""Answers its health check, and keeps every request that it never had: argv is host:port."""

from __future__ import annotations

import http.server
import sys
import threading
import time

KEPT: list[list[int]] = []


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"busy": false}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def leak() -> None:
    while True:
        KEPT.extend([0] * 20 for _ in range(20))
        time.sleep(0.01)


threading.Thread(target=leak, daemon=True).start()
host, port = sys.argv[1].split(":")
http.server.ThreadingHTTPServer((host, int(port)), Answer).serve_forever()
