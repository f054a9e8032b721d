"""Offers evidence of its own: SIGUSR2 writes to its log, /heap answers; it handles no SIGUSR1.

argv: the log, a file for its port, and "rotate" to have the log rotated at the signal.
"""

from __future__ import annotations

import http.server
import signal
import sys
import threading
from pathlib import Path

LOG = Path(sys.argv[1])


def tell(*_: object) -> None:
    with LOG.open("a") as log:
        log.write("the dump begins\n")
    if sys.argv[3:] == ["rotate"]:
        LOG.rename(f"{LOG}.1")
    with LOG.open("a") as log:
        log.write("the dump ends, password=hunter2\n")


class Heap(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/heap")
            self.end_headers()
            return
        if self.path == "/drips":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b".")
                self.wfile.flush()
                drip.wait(0.2)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"\x1f\x8b\xff heap" if self.path == "/heap" else bytes(5 * 1024**2))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


drip = threading.Event()
LOG.write_text("an old line\n")
signal.signal(signal.SIGUSR2, tell)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Heap)
server.daemon_threads = True
Path(sys.argv[2]).write_text(str(server.server_port))
server.serve_forever()
