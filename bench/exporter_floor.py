"""The floor under a scrape: the bare reads, and the same bytes from the same HTTP server."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from exporter.web.http_messages import Request, Response
from exporter.web.http_server import HttpServer


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
    answer = Response(body=body.read_bytes())

    def application(_: Request) -> Response:
        return answer

    HttpServer("127.0.0.1", port, application).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
