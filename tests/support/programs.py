"""The exporter as a process of a test's own."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from demo.stack.processes import Program
from demo.stack.tools import REPOSITORY
from tests.support.faces import free_port


@contextlib.contextmanager
def exporter(folder: Path, web_config: Mapping[str, Any] | None = None) -> Iterator[int]:
    """Run an exporter until the block ends; give its port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    agents = [{"name": "a", "discover": {"cmdline": "^no-such-agent$"}}]
    (folder / "exporter.yml").write_text(yaml.safe_dump({"agents": agents}))
    (folder / "web.yml").write_text(yaml.safe_dump(dict(web_config or {})))

    def listens() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    program = Program(
        "exporter",
        [
            Path(sys.executable).parent / "memleash-exporter",
            f"--config.file={folder / 'exporter.yml'}",
            f"--web.config.file={folder / 'web.yml'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        folder / "exporter.log",
        listens,
        {"PYTHONPATH": str(REPOSITORY)},
    )
    program.start()
    try:
        yield port
    finally:
        program.stop()
