"""memleash's own programs as the stack, the tests and the benchmarks run them."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from demo.stack.http import answers
from demo.stack.ports import free_port
from demo.stack.processes import Program
from demo.stack.tools import REPOSITORY

SCRIPTS = Path(sys.executable).parent
"""Where memleash's programs are installed."""
ENVIRONMENT = {"PYTHONPATH": str(REPOSITORY)}


def ours(
    kind: str, config: Path, port: int, log: Path, *flags: str, ready: str | None = "/-/ready"
) -> Program:
    """Return ``memleash-KIND`` on a port of loopback, called as its log is; not started.

    It is up when it answers at ``ready``; None: when it listens, as one does that wants TLS.
    """

    def is_up() -> bool:
        return listens(port) if ready is None else answers(f"http://127.0.0.1:{port}{ready}")

    argv: list[str | Path] = [
        SCRIPTS / f"memleash-{kind}",
        f"--config.file={config}",
        f"--web.listen-address=127.0.0.1:{port}",
        *flags,
    ]
    return Program(log.stem, argv, log, is_up, ENVIRONMENT)


@contextlib.contextmanager
def running(program: Program) -> Iterator[Program]:
    """Run a program until the block ends."""
    program.start()
    try:
        yield program
    finally:
        program.stop()


@contextlib.contextmanager
def exporter(folder: Path, web_config: Mapping[str, Any] | None = None) -> Iterator[int]:
    """Run an exporter, whose one agent is down, until the block ends; give its port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    agents = [{"name": "a", "discover": {"cmdline": "^no-such-agent$"}}]
    config, web = folder / "exporter.yml", folder / "web.yml"
    config.write_text(yaml.safe_dump({"agents": agents}), encoding="utf-8")
    web.write_text(yaml.safe_dump(dict(web_config or {})), encoding="utf-8")
    flag = f"--web.config.file={web}"
    with running(ours("exporter", config, port, folder / "exporter.log", flag, ready=None)):
        yield port


def listens(port: int, address: str = "127.0.0.1") -> bool:
    """Return whether somebody listens on a port of this machine."""
    with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
        return True
    return False
