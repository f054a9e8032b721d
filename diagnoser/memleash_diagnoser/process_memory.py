"""Another process's memory, read through /proc/<pid>/mem: nothing is written, stopped or called.

Only reading is in here; what the bytes mean stands in elf.py, cpython.py and objects.py.
"""

import os
import struct
import typing

from . import tools
from .process import Gone, Process

_BLOCK_BITS = 14
_BLOCK_BYTES = 1 << _BLOCK_BITS
_IN_BLOCK = _BLOCK_BYTES - 1
_OVERLAP = 128
"""So many bytes from a block's last address on lie in the same block."""
_MOST_BLOCKS = 2048
_MOST_ADDRESS = 1 << 56
_FEW_WORDS = [struct.Struct(f"<{count}Q") for count in range(_OVERLAP // 8 + 1)]

Pread = typing.Callable[[int, int], bytes]
"""(bytes, address) to what stands there, perhaps less. Raises OSError where nothing can be read."""


class Unreadable(Exception):
    """An address leads nowhere, or what stands there is not what it should be."""


class Memory:
    """Bytes by address. Small pieces come from blocks that are kept until ``forget``.

    Kept blocks are what makes two million objects take seconds. They grow stale, so whoever
    finds that two of them do not fit together forgets them and reads again.
    """

    def __init__(self, pread: Pread) -> None:
        self._pread = pread
        self._blocks: typing.Dict[int, bytes] = {}

    def unpack(self, layout: struct.Struct, address: int) -> typing.Tuple[typing.Any, ...]:
        """Return what ``layout`` (at most 128 bytes) finds at ``address``. Raises Unreadable."""
        number = address >> _BLOCK_BITS
        block = self._blocks.get(number)
        if block is None:
            block = self._load(number)
        try:
            return layout.unpack_from(block, address & _IN_BLOCK)
        except struct.error:
            raise Unreadable(f"nothing at {address:#x}") from None

    def word(self, address: int) -> int:
        """Return the unsigned 64-bit word at ``address``. Raises Unreadable."""
        return int(self.unpack(_FEW_WORDS[1], address)[0])

    def read(self, address: int, size: int) -> bytes:
        """Return ``size`` bytes, read just now. Raises Unreadable where there are fewer."""
        if not 0 < address < _MOST_ADDRESS:
            raise Unreadable(f"nothing at {address:#x}")
        try:
            found = self._pread(size, address)
        except OSError as error:
            raise Unreadable(f"nothing at {address:#x}: {error}") from error
        if len(found) < size:
            raise Unreadable(f"only {len(found)} of {size} bytes at {address:#x}")
        return found

    def words(self, address: int, count: int) -> typing.Tuple[int, ...]:
        """Return ``count`` unsigned words at ``address``. Raises Unreadable."""
        if count < len(_FEW_WORDS):
            return self.unpack(_FEW_WORDS[count], address)
        return struct.unpack(f"<{count}Q", self.read(address, 8 * count))

    def forget(self) -> None:
        """Read everything again from now on."""
        self._blocks.clear()

    def refresh(self) -> None:
        """Read all kept blocks again, at once: as near to one moment as can be."""
        for number in sorted(self._blocks):
            try:
                self._load(number)
            except Unreadable:
                del self._blocks[number]

    def _load(self, number: int) -> bytes:
        address = number << _BLOCK_BITS
        if not 0 <= address < _MOST_ADDRESS:
            raise Unreadable(f"nothing at {address:#x}")
        if len(self._blocks) >= _MOST_BLOCKS and number not in self._blocks:
            self._blocks.clear()
        try:
            block = self._pread(_BLOCK_BYTES + _OVERLAP, address)
        except OSError as error:
            block = self._pieces(address)
            if not block:
                raise Unreadable(f"nothing at {address:#x}: {error}") from error
        self._blocks[number] = block
        return block

    def _pieces(self, address: int) -> bytes:
        """Return a block whose beginning is not mapped: zeros stand for what is not."""
        found = b""
        for start in range(address, address + _BLOCK_BYTES, 4096):
            try:
                found = found.ljust(start - address, b"\0") + self._pread(4096, start)
            except OSError:
                continue
        return found


def open_for_reading(process: Process) -> int:
    """Return a descriptor of the memory of ``process``.

    Raises Gone, or tools.Refused where this user may not read it.
    """
    try:
        return os.open(process.path("mem"), os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        advice = tools.ptrace_advice()
        raise tools.Refused(f"the agent's memory may not be read: {advice}") from error
    except (FileNotFoundError, ProcessLookupError) as error:
        raise Gone(f"process {process.pid} is gone") from error


class ProcessMemory(Memory):
    """The memory of one life of a process."""

    def __init__(self, process: Process) -> None:
        """Raises Gone, or tools.Refused where this user may not read it."""
        self._fd = open_for_reading(process)
        super().__init__(lambda size, address: os.pread(self._fd, size, address))
        process.check()

    def close(self) -> None:
        """Let go of it. Raises nothing."""
        os.close(self._fd)
