"""One process that is the exporter of many busy hosts, of which a share hangs.

``python -m bench.mutes_hosts PORT``. Each host has a loopback address of its own, all of them this
port. A host that hangs accepts, and never answers. On 127.0.0.1 it is told what to do:

    POST /hang/10   every tenth host hangs from now on; what was counted is forgotten
    GET /asked      seconds of this process's clock at which each host was asked, by address
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

AGENT = "sample-agent"
_VALUES = {
    "up": 1,
    "start_time_seconds": time.time() - 86_400,
    "resident_memory_bytes": 2**30,
    "anonymous_memory_bytes": 2**29,
    "limited_memory_bytes": 2**30,
    "swap_bytes": 0,
    "threads": 12,
    "open_fds": 40,
    "busy": 1,
    "busy_since_timestamp_seconds": time.time() - 60,
    "ready": 1,
    "sample_success": 1,
    "sample_duration_seconds": 0.004,
}
_METRICS = "".join(
    f"# HELP memleash_agent_{name} One of the exporter's.\n# TYPE memleash_agent_{name} gauge\n"
    f'memleash_agent_{name}{{agent="{AGENT}"}} {value}\n'
    for name, value in _VALUES.items()
)


def address(number: int) -> str:
    """Return the address of a host by its number, from 0 on."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


def hangs(number: int, percent: int) -> bool:
    """Whether a host is among the ``percent`` that hang: they are spread over the fleet."""
    return number % 100 < percent


class Hosts:
    """All the hosts."""

    def __init__(self) -> None:
        self._percent = 0
        self._asked: dict[str, list[float]] = {}

    async def serve(self, port: int) -> None:
        """Serve until the process ends."""
        server = await asyncio.start_server(self._connected, "0.0.0.0", port, backlog=4096)
        await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            host = writer.get_extra_info("sockname")[0]
            body = self._control(head) if host == "127.0.0.1" else self._metrics(host)
            if body is None:
                await reader.read()  # until who asks gives up
            else:
                kind = "Content-Type: text/plain; version=0.0.4\r\nConnection: close"
                head_out = f"HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head_out.encode() + body.encode())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _control(self, head: bytes) -> str:
        path = head.split(b" ", 2)[1].decode()
        if path.startswith("/hang/"):
            self._percent = int(path.removeprefix("/hang/"))
            self._asked.clear()
        return json.dumps(self._asked)

    def _metrics(self, host: str) -> str | None:
        self._asked.setdefault(host, []).append(time.monotonic())
        _, _, block, last = host.split(".")
        return None if hangs(int(block) * 250 + int(last) - 1, self._percent) else _METRICS


if __name__ == "__main__":
    asyncio.run(Hosts().serve(int(sys.argv[1])))
