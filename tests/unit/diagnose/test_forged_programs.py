"""A mapped file that says of itself what is not so costs little, and is no CPython."""

from __future__ import annotations

import struct

import pytest

from memleash_diagnoser import cpython, elf
from memleash_diagnoser.process_memory import Memory, Unreadable

BASE = 0x400000
ENDLESS = 1 << 45
_LOAD, _DYNAMIC, _WRITABLE = 1, 2, 6


class Forged(Memory):
    """An ELF whose segments go on for ever: zeros wherever one looks. Counts what is read."""

    def __init__(self, *segments: tuple[int, int, int]) -> None:
        """Each segment is (kind, flags, bytes)."""
        header = struct.pack("<4sBB26xQ14xHH", b"\x7fELF", 2, 1, 64, 56, len(segments))
        table = [
            struct.pack("<IIQQQQQQ", kind, flags, 0, 0, 0, 0, size, 0)
            for kind, flags, size in segments
        ]
        self._start = b"".join([header.ljust(64, b"\0"), *table])
        self.bytes_read = 0
        super().__init__(self._pread)

    def _pread(self, size: int, address: int) -> bytes:
        assert size < 1 << 30
        self.bytes_read += size
        found = self._start[address - BASE :][:size] if address >= BASE else b""
        return found.ljust(size, b"\0")


@pytest.mark.parametrize("segments", [1, 60])
def test_no_more_than_a_part_of_endless_data_is_searched_for_a_version(segments: int) -> None:
    memory = Forged(*[(_LOAD, _WRITABLE, ENDLESS)] * segments)
    image = elf.Image(memory, BASE)

    with pytest.raises(Unreadable, match="does not say its version"):
        cpython._version_in(memory, image)

    assert memory.bytes_read < 34 * 1024**2


def test_an_endless_dynamic_section_is_read_in_part() -> None:
    memory = Forged((_LOAD, _WRITABLE, 4096), *[(_DYNAMIC, _WRITABLE, ENDLESS)] * 50)
    image = elf.Image(memory, BASE)

    assert image.symbol("_PyRuntime") is None
    assert memory.bytes_read < 1024**2
