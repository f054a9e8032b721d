"""What a process holds of the machine, by /proc."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MOST_GROWTH_KIB = 24 * 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """Resident memory, threads and open files."""

    resident_kib: int
    threads: int
    files: int

    def has_not_grown(self, since: Usage, new_threads: int = 2) -> bool:
        """Whether this is about what it was; a few threads and files come and go.

        ``new_threads`` is how many may come: a pool makes one only when none of its own is free.
        """
        return (
            self.resident_kib - since.resident_kib < MOST_GROWTH_KIB
            and self.threads <= since.threads + new_threads
            and self.files <= since.files + 8
        )


def usage(pid: int) -> Usage:
    proc = Path(f"/proc/{pid}")
    status = (proc / "status").read_text(encoding="ascii")

    def number(name: str) -> int:
        (value,) = re.findall(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
        return int(value)

    return Usage(number("VmRSS"), number("Threads"), len(list((proc / "fd").iterdir())))
