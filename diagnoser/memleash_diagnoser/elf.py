"""Symbols of the programs and libraries that a process has mapped, read from its own memory.

What the loader mapped holds all that a dynamic symbol needs, so no file is opened: a container's
files, and those that an upgrade has deleted, need no way of their own. ELF of 64 bits, little
endian; the hash table is DT_GNU_HASH, which every linker of the last decade writes.
Layout: elf(5); the hash table: binutils' documentation of --hash-style=gnu.
"""

import os
import struct
import typing

from . import facts
from .process import Process
from .process_memory import Memory, Unreadable

_MAGIC = b"\x7fELF\x02\x01"
_HEADER = struct.Struct("<32xQ14xHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH = 5, 6, 0x6FFFFEF5
_WRITABLE = 2
_MOST_SEGMENTS = 64
_MOST_CHAIN = 10000
_MOST_DYNAMIC = 1024
"""Entries of a dynamic section; a large library has some 40."""


class Image:
    """One program or library, as it lies in memory."""

    def __init__(self, memory: Memory, base: int) -> None:
        """``base`` is where its first byte is mapped. Raises Unreadable when that is no ELF."""
        self._memory = memory
        if memory.read(base, len(_MAGIC)) != _MAGIC:
            raise Unreadable(f"no ELF at {base:#x}")
        where, size, count = memory.unpack(_HEADER, base)
        if size != _SEGMENT.size or count > _MOST_SEGMENTS:
            raise Unreadable(f"no program headers at {base:#x}")
        segments = [memory.unpack(_SEGMENT, base + where + size * n) for n in range(count)]
        loads = [segment for segment in segments if segment[0] == _PT_LOAD]
        if not loads:
            raise Unreadable(f"nothing of {base:#x} is mapped")
        self._bias = base - (loads[0][3] - loads[0][2])
        self.writable: typing.List[typing.Tuple[int, int]] = [
            (self._bias + load[3], load[6]) for load in loads if load[1] & _WRITABLE
        ]
        """(address, bytes) of its data, the zeroed part too."""
        self._tables = self._dynamic(segments)

    def symbol(self, name: str) -> typing.Optional[int]:
        """Return the address of dynamic symbol ``name``, or None. Raises Unreadable."""
        if len(self._tables) < 3:
            return None
        table = self._tables[_DT_GNU_HASH]
        buckets, first, blooms, _ = struct.unpack("<4I", self._memory.read(table, 16))
        bucket_at = table + 16 + 8 * blooms
        hashed = _gnu_hash(name)
        start = self._u32(bucket_at + 4 * (hashed % buckets)) if buckets else 0
        if start < first:
            return None
        for index in range(start, start + _MOST_CHAIN):
            other = self._u32(bucket_at + 4 * (buckets + index - first))
            if other | 1 == hashed | 1:
                address = self._address_of(index, name)
                if address is not None:
                    return address
            if other & 1:
                return None
        return None

    def _address_of(self, index: int, name: str) -> typing.Optional[int]:
        """Return the address of the symbol at ``index``, if ``name`` is its name."""
        symbol_at = self._tables[_DT_SYMTAB] + _SYMBOL.size * index
        string, _, _, section, value, _ = self._memory.unpack(_SYMBOL, symbol_at)
        wanted = name.encode() + b"\0"
        if section and self._memory.read(self._tables[_DT_STRTAB] + string, len(wanted)) == wanted:
            return int(self._bias + value)
        return None

    def _u32(self, address: int) -> int:
        return int(struct.unpack("<I", self._memory.read(address, 4))[0])

    def _dynamic(
        self, segments: typing.List[typing.Tuple[typing.Any, ...]]
    ) -> typing.Dict[int, int]:
        """Return the addresses of the tables. glibc adds the bias in place, musl does not."""
        tables = {}
        for segment in segments:
            if segment[0] != _PT_DYNAMIC:
                continue
            count = min(segment[6] // 16, _MOST_DYNAMIC)
            words = self._memory.words(self._bias + segment[3], 2 * count)
            for tag, value in zip(words[::2], words[1::2]):
                if tag in (_DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH):
                    tables[tag] = value if value >= self._bias else value + self._bias
        return tables


def images(process: Process, memory: Memory) -> typing.Iterator[Image]:
    """Yield what ``process`` has mapped; what is called python comes first. Raises Gone."""
    bases: typing.Dict[str, int] = {}
    for mapping in facts.mappings(process):
        if mapping.name.startswith("/"):
            bases.setdefault(mapping.name, mapping.start)
    for name in sorted(bases, key=lambda name: "python" not in os.path.basename(name)):
        try:
            yield Image(memory, bases[name])
        except Unreadable:
            continue


def _gnu_hash(name: str) -> int:
    hashed = 5381
    for letter in name.encode():
        hashed = (hashed * 33 + letter) & 0xFFFFFFFF
    return hashed
