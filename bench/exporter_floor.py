"""The floor under a scrape: the bare reads, and the same bytes from the same HTTP server."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.http_server import HttpServer
from toolkit.web_config import WebConfig

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


def bare_reads_seconds(pids: Sequence[int], rounds: int) -> float:
    """Return the CPU seconds to read each pid's stat and status, and to count its descriptors.

    The least that tells what a scrape tells: no parsing, no checking, no formatting.
    """
    began = time.process_time()
    for _ in range(rounds):
        for pid in pids:
            for name in ("stat", "status"):
                file = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
                os.read(file, 8192)
                os.close(file)
            os.stat(f"/proc/{pid}/fd")  # noqa: PTH116 - what a pathlib costs is not the floor
    return (time.process_time() - began) / rounds


def main(port: int, body: Path) -> None:
    """Serve the bytes in ``body`` for ever."""
    answer = body.read_bytes()

    def application(_: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [answer]

    HttpServer(application, ("127.0.0.1", port), WebConfig(None)).serve()
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
