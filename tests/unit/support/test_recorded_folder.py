"""The archive of a recorded folder: every byte comes back, and what is none is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.recorded_folder import unpack

ARCHIVE = r"""-- a/text
one
two
-- a/bytes
\xff\x00 -- no name\\
\
-- a/empty
-- a/open/
0
251
-- a/bare/
"""


def test_every_byte_comes_back(tmp_path: Path) -> None:
    unpack(ARCHIVE, tmp_path)
    files = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert files == {
        "a/text": b"one\ntwo\n",
        "a/bytes": b"\xff\x00 -- no name\\\n",
        "a/empty": b"",
        "a/open/0": b"",
        "a/open/251": b"",
    }
    assert list((tmp_path / "a/bare").iterdir()) == []


@pytest.mark.parametrize("text", ["one\n", "-- a\nno line end"])
def test_another_text_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="not an archive"):
        unpack(text, tmp_path)
