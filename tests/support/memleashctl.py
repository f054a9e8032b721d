"""memleashctl as a person runs it, and what it said."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.stack.own_programs import SCRIPTS


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def memleashctl(*arguments: str | Path) -> Ran:
    """Run it to its end."""
    done = subprocess.run(
        [SCRIPTS / "memleashctl", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
