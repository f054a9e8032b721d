"""Packs the diagnoser into one zip file and words the shell commands that run it on a host.

The command that starts a diagnosis gets the whole program on its standard input, so that nothing
need be installed on the host, and a diagnosis never runs another release's diagnoser. It lies
beside the report until that was fetched; the other verbs run it from there.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import io
import json
import shlex
import zipfile
from pathlib import Path

import memleash_diagnoser
from memleash_responder.core.diagnosis_settings import AgentCommand, AgentSignal

_MAIN = (
    "import sys\nfrom memleash_diagnoser.detached_runs import main\nsys.exit(main(sys.argv[1:]))\n"
)
_START = (
    "import os,sys,tempfile\n"
    "fd,path=tempfile.mkstemp('.zip')\n"
    "try:\n"
    " with os.fdopen(fd,'wb') as file:\n"
    "  file.write(sys.stdin.buffer.read())\n"
    " sys.path.insert(0,path)\n"
    " from memleash_diagnoser.detached_runs import main\n"
    " code=main(sys.argv[1:])\n"
    "finally:\n"
    " os.unlink(path)\n"
    "sys.exit(code)"
)
_LATER = (
    "import os,sys\n"
    "if not os.path.exists(sys.argv[1]):\n"
    ' print(\'{"state":"unknown"}\')\n'
    " sys.exit()\n"
    "sys.path.insert(0,sys.argv[1])\n"
    "from memleash_diagnoser.detached_runs import main\n"
    "sys.exit(main(sys.argv[2:]))"
)


class Verb(enum.Enum):
    """What the diagnoser can be told; each answers with one line of JSON."""

    START = "start"
    """Begin in the background; the same run again begins nothing. Wants packed() as input."""
    STATUS = "status"
    """Whether it runs, is done, was refused, or died."""
    READ = "read"
    """Give the piece of the report's tar.gz that begins at an offset."""
    STOP = "stop"
    """Tell it to end; it still writes its report."""
    CLEAN = "clean"
    """Remove all that it left."""


@functools.cache
def packed() -> bytes:
    """Return the zip file of the diagnoser; the same bytes for the same sources."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        folder = Path(memleash_diagnoser.__file__).parent
        sources = sorted(folder.glob("*.py"))
        files = {f"{folder.name}/{source.name}": source.read_bytes() for source in sources}
        for name, content in {**files, "__main__.py": _MAIN.encode()}.items():
            target.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return archive.getvalue()


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """One diagnosis as the diagnoser's plan understands it (its plan.py has the defaults)."""

    run: str
    agent: str
    discover: str
    target: str
    profile: str
    start_time: float | None
    kinds: tuple[str, ...]
    rounds: int
    interval_seconds: float
    remote_exec: bool
    native_stacks: bool
    locals: bool
    signal: AgentSignal | None
    urls: tuple[str, ...]
    command: AgentCommand | None
    least_growth_bytes: int
    max_rss_bytes: int
    max_seconds: float
    max_cpu_seconds: int
    max_report_bytes: int
    free_disk_bytes: int
    marker_root: str
    work_root: str


def command(verb: Verb, plan: Plan, python: str = "python3", *arguments: str) -> str:
    """Return the shell command for ``verb``. ``python`` may be more words: ``sudo -n python3``."""
    if verb is Verb.START:
        program = [_START]
    else:
        program = [_LATER, f"{plan.work_root}/{plan.run}/diagnoser.zip"]
    words = json.dumps(dataclasses.asdict(plan), separators=(",", ":"))
    return f"{python} {shlex.join(['-c', *program, verb.value, words, *arguments])}"
