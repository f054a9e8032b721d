"""Strings and dicts of a CPython process, read from outside.

Sources: Include/cpython/unicodeobject.h, Objects/dict-common.h and, from 3.11 on,
Include/internal/pycore_dict.h of each version; where they differ, cpython.Layout says how.
"""

import struct
import typing

from .cpython import Layout
from .process_memory import Memory, Unreadable

_MOST_ENTRIES = 1 << 20
"""Of a longer dict only so many of its last entries are read."""
_MOST_TEXT = 500

Item = typing.Tuple[int, int]
"""Addresses of a name and of its value."""
Wanted = typing.Optional[typing.Set[int]]


class Values:
    """Reads strings and dicts by address. Every method raises Unreadable."""

    def __init__(self, memory: Memory, layout: Layout) -> None:
        self.memory = memory
        self.layout = layout
        self._texts: typing.Dict[int, str] = {}

    def text(self, address: int) -> str:
        """Return the str (in 2.7: the str of bytes) at ``address``, cut at 500 letters."""
        found = self._texts.get(address)
        if found is None:
            found = self._texts[address] = self._text(address)
        return found

    def c_string(self, address: int) -> str:
        """Return the letters from ``address`` to the next zero byte."""
        for size in (64, _MOST_TEXT):
            text, zero, _ = self._upto(address, size).partition(b"\0")
            if zero:
                return text.decode("utf-8", "replace")
        raise Unreadable(f"no string at {address:#x}")

    def items(self, address: int, wanted: Wanted = None) -> typing.List[Item]:
        """Return what the dict at ``address`` holds; with ``wanted``, only those values."""
        if self.layout.keys == "2.7":
            mask, table = self.memory.words(address + 32, 2)
            return self._entries((table, mask + 1, 24), wanted)
        keys, values = self.memory.words(address + 32, 2)
        if not values:
            return self._entries(self._where_entries_are(keys), wanted)
        return self.split(keys, values + 8 * (self.layout.attributes == "3.13"), wanted)

    def split(self, keys: int, values: int, wanted: Wanted) -> typing.List[Item]:
        """Return what lies at ``values`` in the order of the names in ``keys``, as ``items``."""
        address, count, size = self._where_entries_are(keys)
        if not 0 < count < _MOST_ENTRIES:
            return []
        found = self.memory.words(values, count)
        if wanted is not None and wanted.isdisjoint(found):
            return []
        step = size // 8
        return _pairs(self.memory.words(address, count * step)[step - 2 :: step], found, wanted)

    def dict_bytes(self, keys: int, *, split: bool) -> int:
        """Return what a dict allocated: its keys, unless shared, and its values, if ``split``."""
        users, size = self.memory.unpack(_TWO, keys)
        if self.layout.keys == "3.11":
            entry = 16 if size >> 16 & 0xFF else 24
            header, index, size = 32, 1 << (size >> 8 & 63), 1 << (size & 63)
        else:
            header, index, entry = 40, size * _index_bytes(size), 24
        usable = size * 2 // 3
        own = header + index + usable * entry if users == 1 else 0
        return int(own + 8 * usable * split)

    def _text(self, address: int) -> str:
        if self.layout.keys == "2.7":
            length = min(self.memory.word(address + 16), _MOST_TEXT)
            return self.memory.read(address + 36, length).decode("utf-8", "replace")
        length = min(self.memory.word(address + 16), _MOST_TEXT)
        state = self.memory.word(address + 32)
        kind, compact, ascii_alone = state >> 2 & 7, state >> 5 & 1, state >> 6 & 1
        if kind not in _ENCODINGS or not compact:
            raise Unreadable(f"no str at {address:#x}")
        letters = address + (self.layout.ascii if ascii_alone else self.layout.compact)
        return self.memory.read(letters, kind * length).decode(_ENCODINGS[kind], "replace")

    def _where_entries_are(self, keys: int) -> typing.Tuple[int, int, int]:
        """Return address, number and size of a dict's entries."""
        words = self.memory.words(keys, 5)
        if self.layout.keys == "3.11":
            kind = words[1] >> 16 & 0xFF
            at = keys + 32 + (1 << (words[1] >> 8 & 63))
            return at, words[3], 16 if kind else 24
        return keys + 40 + words[1] * _index_bytes(words[1]), words[4], 24

    def _entries(self, where: typing.Tuple[int, int, int], wanted: Wanted) -> typing.List[Item]:
        address, count, size = where
        if not 0 < count < 1 << 40:
            return []
        skipped = max(0, count - _MOST_ENTRIES)
        words = self.memory.words(address + skipped * size, (count - skipped) * size // 8)
        step = size // 8
        return _pairs(words[step - 2 :: step], words[step - 1 :: step], wanted)

    def _upto(self, address: int, size: int) -> bytes:
        """Return at most ``size`` bytes: fewer where a page ends that is the last one."""
        try:
            return self.memory.read(address, size)
        except Unreadable:
            return self.memory.read(address, -address % 4096)


_TWO = struct.Struct("<2Q")
_ENCODINGS = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}


def _pairs(
    names: typing.Sequence[int], values: typing.Sequence[int], wanted: Wanted
) -> typing.List[Item]:
    if wanted is not None and wanted.isdisjoint(values):
        return []
    pairs = ((name, value) for name, value in zip(names, values) if name and value)
    return [item for item in pairs if wanted is None or item[1] in wanted]


def _index_bytes(size: int) -> int:
    """Return what one index of a dict of ``size`` slots takes (before 3.11)."""
    return 1 if size <= 0xFF else 2 if size <= 0xFFFF else 4 if size <= 0xFFFFFFFF else 8
