r"""A folder of small files as one readable text, for fixtures that are recorded from reality.

    -- proc/410/cmdline
    /usr/bin/kvmagent\x00--daemon\x00\
    -- proc/410/fd/
    0
    1

A name begins with ``-- `` and a file's content follows it, in the escapes of a Python string: a
backslash at the end of a line says that the file has no line end there. A name that ends in ``/``
is a folder, followed by the names of the empty files in it.
"""

from __future__ import annotations

import re
from pathlib import Path

_ENTRY = re.compile(r"^-- (?P<name>.+)\n(?P<content>(?:(?!-- ).*\n)*)", re.MULTILINE)


def unpack(archive: str, folder: Path) -> None:
    """Write what ``archive`` holds below ``folder``. Raises ValueError for any other text."""
    if _ENTRY.sub("", archive):
        raise ValueError(f"not an archive: it has {_ENTRY.sub('', archive)[:80]!r}")
    for entry in _ENTRY.finditer(archive):
        path, content = folder / entry["name"], entry["content"]
        if entry["name"].endswith("/"):
            path.mkdir(parents=True)
            for name in content.splitlines():
                (path / name).touch()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("ascii").decode("unicode_escape").encode("latin-1"))
