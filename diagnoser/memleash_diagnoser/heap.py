"""What glibc's malloc holds, read from outside: nothing is called, stopped or changed.

malloc_info(3) would have to run inside the agent, where it waits for ever if the thread that is
borrowed for it was stopped holding an arena's lock. The chunks of a heap stand one after the
other, each with its size in front, so they can be walked through /proc/<pid>/mem.
Layout: glibc malloc/malloc.c (struct malloc_chunk) and arena.c (struct heap_info), 64-bit.

The agent runs on while we walk, so a walk is a close estimate: one that loses the chain keeps
what it had so far and says so. Freed chunks that wait in a thread's cache count as used.
"""

import collections
import os
import struct
import time
import typing

from .facts import Mapping, mappings
from .process import Process
from .process_memory import open_for_reading

_PREV_INUSE, _IS_MMAPPED = 1, 2
_FLAGS = 7
_LEAST_CHUNK = 32
_ALIGNMENT = 16
_HEAP_ALIGNMENT = 64 * 1024**2
_MMAP_LEAST = 128 * 1024
_WINDOW = 1024**2
_HEADER = struct.Struct("<Q")
_FIRST_CHUNKS = (0x20, 0x30, 0x8B0, 0x8C0, 0x8D0, 0x8E0, 0x8F0, 0x900)
"""Where the first chunk of a non-main heap can be: after heap_info, and the arena if it has it."""


class _Chain(typing.NamedTuple):
    """Chunks that follow each other: how many are used by size, what is free, is it all of it."""

    used: typing.Dict[int, int]
    free_bytes: int
    whole: bool


class Heap:
    """What one walk over all heaps found."""

    def __init__(self) -> None:
        self.used: typing.Dict[int, int] = collections.defaultdict(int)
        self.free_bytes = 0
        self.arenas = 0
        self.mapped_chunks = 0
        self.notes: typing.List[str] = []

    def add(self, chain: _Chain) -> None:
        """Count ``chain`` too."""
        for size, count in chain.used.items():
            self.used[size] += count
        self.free_bytes += chain.free_bytes

    def counts(self) -> typing.Dict[str, typing.List[int]]:
        """Return (count, bytes) by chunk size."""
        return {str(size): [count, count * size] for size, count in self.used.items()}

    def facts(self) -> typing.Dict[str, int]:
        """Return the totals."""
        return {
            "arenas": self.arenas,
            "used_chunks": sum(self.used.values()),
            "used_bytes": sum(size * count for size, count in self.used.items()),
            "free_bytes": self.free_bytes,
            "chunks_of_their_own_mapping": self.mapped_chunks,
        }


def walk(process: Process, seconds: float) -> Heap:
    """Return what malloc holds in ``process``. Stops after ``seconds``.

    Raises Gone, OSError, or tools.Refused where this user may not read it.
    """
    heap = Heap()
    until = time.monotonic() + seconds
    fd = open_for_reading(process)
    try:
        for mapping in mappings(process):
            if "w" not in mapping.rights or time.monotonic() > until:
                continue
            if mapping.name == "[heap]":
                _walk_main(_Memory(fd, mapping), mapping, heap, until)
            elif not mapping.name and mapping.start % _HEAP_ALIGNMENT == 0:
                _walk_other(_Memory(fd, mapping), mapping, heap, until)
            elif not mapping.name and mapping.size_bytes >= _MMAP_LEAST:
                _walk_mapped(_Memory(fd, mapping), mapping, heap)
    finally:
        os.close(fd)
    if time.monotonic() > until:
        heap.notes.append(f"the heap walk was cut off after {seconds:.0f} s")
    return heap


class _Memory:
    """Eight-byte words of one mapping, read a window at a time."""

    def __init__(self, fd: int, mapping: Mapping) -> None:
        self._fd = fd
        self._end = mapping.end
        self._start = 0
        self._window = b""

    def word(self, address: int) -> int:
        """Return the word at ``address``; 0 where nothing can be read."""
        offset = address - self._start
        if not 0 <= offset <= len(self._window) - _HEADER.size:
            size = max(0, min(_WINDOW, self._end - address))
            try:
                self._window = os.pread(self._fd, size, address)
            except OSError:
                self._window = b""
            self._start, offset = address, 0
            if len(self._window) < _HEADER.size:
                return 0
        return typing.cast(int, _HEADER.unpack_from(self._window, offset)[0])


def _walk_main(memory: _Memory, mapping: Mapping, heap: Heap, until: float) -> None:
    chain = _follow(memory, mapping.start, mapping.end, until)
    heap.arenas += 1
    heap.add(chain)
    if not chain.whole:
        heap.notes.append("the main heap changed while it was walked; its end is not counted")


def _walk_other(memory: _Memory, mapping: Mapping, heap: Heap, until: float) -> None:
    """Walk a heap of another arena, whose first words are heap_info: arena, previous, size."""
    size = memory.word(mapping.start + 16)
    if not _HEAP_ALIGNMENT // 1024 < size <= mapping.size_bytes:
        return
    for first in _FIRST_CHUNKS:
        chain = _follow(memory, mapping.start + first, mapping.start + size, until)
        if chain.whole and chain.used:
            heap.arenas += memory.word(mapping.start + 8) == 0
            heap.add(chain)
            return


def _walk_mapped(memory: _Memory, mapping: Mapping, heap: Heap) -> None:
    """Walk chunks that are mappings of their own; neighbours are merged into one in maps."""
    address = mapping.start
    while address < mapping.end:
        head = memory.word(address + 8)
        size = head & ~_FLAGS
        if head & _FLAGS != _IS_MMAPPED or size % 4096 or not 0 < size <= mapping.end - address:
            return
        heap.mapped_chunks += 1
        heap.add(_Chain({size: 1}, 0, whole=True))
        address += size


def _follow(memory: _Memory, address: int, end: int, until: float) -> _Chain:
    """Count the chunks from ``address`` on; the chain is whole when they lead to ``end``.

    Whether a chunk is used stands in the chunk after it; the last one is the free top.
    """
    used: typing.Dict[int, int] = collections.defaultdict(int)
    free_bytes = steps = 0
    size = memory.word(address + 8) & ~_FLAGS
    while _LEAST_CHUNK <= size <= end - address and size % _ALIGNMENT == 0:
        address += size
        if address >= end - _ALIGNMENT:
            return _Chain(used, free_bytes + size, whole=True)
        head = memory.word(address + 8)
        if head & _PREV_INUSE:
            used[size] += 1
        else:
            free_bytes += size
        size = head & ~_FLAGS
        steps += 1
        if steps % 65536 == 0 and time.monotonic() > until:
            break
    return _Chain(used, free_bytes, whole=False)
