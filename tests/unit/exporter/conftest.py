"""A procfs to write: just what the exporter reads of a process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from memleash_exporter.adapters.processes import Processes


@dataclass(frozen=True)
class FakeProcfs:
    """A directory that looks like /proc of a host booted at unix time 1000, 500 s ago."""

    root: Path

    def add(
        self,
        pid: int,
        *,
        parent: int = 1,
        start_ticks: int = 100,
        cmdline: bytes = b"agent\0",
        name: bytes = b"agent",
        state: bytes = b"S",
        threads: int = 1,
        rss_kib: int | None = 1024,
        swap_kib: int = 0,
        children: tuple[int, ...] = (),
    ) -> Path:
        directory = self.root / str(pid)
        (directory / "task" / str(pid)).mkdir(parents=True, exist_ok=True)
        (directory / "fd").mkdir(exist_ok=True)
        fields = [b"0"] * 50
        fields[0], fields[1] = state, str(parent).encode()
        fields[11], fields[12] = b"150", b"50"
        fields[17], fields[19] = str(threads).encode(), str(start_ticks).encode()
        (directory / "stat").write_bytes(
            f"{pid} (".encode() + name + b") " + b" ".join(fields) + b"\n"
        )
        memory = (
            b""
            if rss_kib is None
            else f"VmRSS:\t{rss_kib} kB\nRssAnon:\t 512 kB\nVmSwap:\t{swap_kib} kB\n".encode()
        )
        (directory / "status").write_bytes(
            b"Name:\tagent\nVmPeak:\t9 kB\n" + memory + f"Threads:\t{threads}\n".encode()
        )
        resident, anonymous = (0, 0) if rss_kib is None else (rss_kib // 4, 512 // 4)
        (directory / "statm").write_text(f"9 {resident} {resident - anonymous} 0 0 0 0\n")
        (directory / "cmdline").write_bytes(cmdline)
        (directory / "task" / str(pid) / "children").write_text(
            "".join(f"{child} " for child in children)
        )
        return directory

    def processes(self) -> Processes:
        return Processes(self.root)


@pytest.fixture
def fake_procfs(tmp_path: Path) -> FakeProcfs:
    root = tmp_path / "proc"
    root.mkdir()
    (root / "stat").write_text("cpu 1 2\nbtime 1000\n")
    (root / "uptime").write_text("500.00 900.00\n")
    made = FakeProcfs(root)
    made.add(1, parent=0, start_ticks=1, cmdline=b"/sbin/init\0")
    return made
