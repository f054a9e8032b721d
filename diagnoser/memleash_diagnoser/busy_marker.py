"""The busy marker: while it stands, the exporter says busy, and nobody pings or restarts.

Its form is the exporter's: JSON in <root>/<agent>/. It names the diagnoser's own life and a time,
so that it is dead when the diagnoser is, whatever killed it.
"""

import contextlib
import json
import os
import time
import typing

from . import process


@contextlib.contextmanager
def held(
    root: str, agent: str, reason: str, seconds: float
) -> typing.Iterator[typing.Callable[[], None]]:
    """Hold a marker for ``agent`` at most ``seconds`` long; give a way to touch it. Raises OSError.

    1. make the agent's folder where it is missing; 2. write a file beside and rename it, so that
    a half-written marker is never read; 3. remove it, whatever happens in between.
    An empty ``root`` holds none.
    """
    if not root:
        yield lambda: None
        return
    if "/" in agent or agent in ("", ".", ".."):
        raise ValueError(f"{agent!r} cannot be the name of an agent")
    folder = os.path.join(root, agent)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    name = f"diagnose-{os.getpid()}"
    marker = os.path.join(folder, name)
    draft = os.path.join(folder, "." + name)
    content = {
        "reason": reason,
        "pid": os.getpid(),
        "pid_start_ticks": process.find(os.getpid()).start_ticks,
        "expires_at": int(time.time() + seconds),
    }
    try:
        with open(draft, "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(draft, marker)
        yield lambda: os.utime(marker)
    finally:
        for path in (draft, marker):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
