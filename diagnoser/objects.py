"""What CPython's own objects hold, read from outside: classes, strings, dicts, attributes.

Sources: Include/cpython/object.h (PyTypeObject), unicodeobject.h, Objects/dict-common.h and
Include/internal/pycore_dict.h of each version; where they differ, cpython.Layout says how.
"""

import struct
import typing

from .cpython import Layout
from .memory import Memory, Unreadable

_TYPE_WORDS = 52
_BASICSIZE, _ITEMSIZE, _FLAGS, _MEMBERS, _BASE, _DICT, _DICTOFFSET = 4, 5, 21, 30, 32, 33, 36
"""Indices of PyTypeObject's fields, in words."""
_INLINE_VALUES, _PREHEADER, _MANAGED_DICT = 1 << 2, 3 << 3, 1 << 4
_HEAP_TYPE, _HAVE_GC = 1 << 9, 1 << 14
_LONG, _LIST, _DICT_SUBCLASS, _TYPE = 1 << 24, 1 << 25, 1 << 29, 1 << 31
_MOST_BASICSIZE = 1 << 20
_MOST_ENTRIES = 1 << 20
"""Of a longer dict only so many of its last entries are read."""
_MOST_TEXT = 500
_MOST_BASES = 50
_MOST_SLOTS = 100
_MEMBER_BYTES = 40

Item = typing.Tuple[int, int]
"""Addresses of a name and of its value."""
Wanted = typing.Optional[typing.Set[int]]


class Type(typing.NamedTuple):
    """A class of the process whose objects the garbage collector tracks."""

    address: int
    module: str
    name: str
    """Its __qualname__."""
    basic_bytes: int
    """tp_basicsize: what an object of it takes without its items."""
    more_bytes: int
    """What each object has before and behind it: the collector's links, values of attributes."""
    item_bytes: int
    flags: int
    base: str
    """What of list, dict, set, frozenset and deque it is or is derived from; else empty."""
    dict_offset: int
    keys: int
    """Address of the keys that its objects' attributes share; 0 where they share none."""

    @property
    def qualified(self) -> str:
        """Return module and name."""
        return f"{self.module}.{self.name}"


class Objects:
    """Reads a process's objects by address. Every method raises Unreadable."""

    def __init__(self, memory: Memory, layout: Layout) -> None:
        self.memory = memory
        self.layout = layout
        self.types: typing.Dict[int, Type] = {}
        """Classes that ``is_type`` met, by address: those whose objects are tracked."""
        self._texts: typing.Dict[int, str] = {}

    def is_type(self, address: int) -> bool:
        """Return whether a class is at ``address`` whose objects are tracked. Raises nothing."""
        if address in self.types:
            return True
        try:
            kind = self.type(address)
        except Unreadable:
            return False
        if kind.flags & _HAVE_GC:
            self.types[address] = kind
        return bool(kind.flags & _HAVE_GC)

    def type(self, address: int) -> Type:
        """Return the class at ``address``, after a look at whether it can be one."""
        words = self.memory.words(address, _TYPE_WORDS)
        flags = words[_FLAGS]
        if not 0 < words[_BASICSIZE] < _MOST_BASICSIZE or not self._is_class_of_classes(words[1]):
            raise Unreadable(f"no class at {address:#x}")
        module, _, name = self.c_string(words[3]).rpartition(".")
        if not name.isprintable():
            raise Unreadable(f"no class at {address:#x}")
        if flags & _HEAP_TYPE:
            module = self._module(words[_DICT]) or module
            if self.layout.qualname:
                name = self.text(self.memory.word(address + self.layout.qualname))
        keys = self._cached_keys(address, flags)
        return Type(
            address,
            module or "builtins",
            name,
            words[_BASICSIZE],
            self._more_bytes(flags, keys),
            words[_ITEMSIZE] if words[_ITEMSIZE] < _MOST_BASICSIZE else 0,
            flags,
            self._base(address, words),
            _signed(words[_DICTOFFSET]),
            keys,
        )

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
        return self._split(keys, values + 8 * (self.layout.attributes == "3.13"), wanted)

    def attributes(self, address: int, kind: Type, wanted: Wanted = None) -> typing.List[Item]:
        """Return the instance attributes of the object of ``kind`` at ``address``, as ``items``."""
        version = self.layout.attributes
        if version == "dict" or not kind.flags & _MANAGED_DICT:
            return self._in_dict(address, kind, wanted)
        found = self.memory.word(address - 24)
        values = 0
        if version == "3.11":
            values = self.memory.word(address - 32)
        elif version == "3.12" and found & 1:
            values = found + 1
        elif version == "3.13" and kind.flags & _INLINE_VALUES:
            inline = address + kind.basic_bytes
            if self.memory.word(inline) >> 24 & 0xFF:  # still the valid ones
                values = inline + 8
        if values:
            return self._split(kind.keys, values, wanted)
        return self.items(found, wanted) if found else []

    def slots(self, kind: Type) -> typing.List[Item]:
        """Return (name, offset in the object) of each of ``kind``'s __slots__, its bases' too."""
        found: typing.List[Item] = []
        address = kind.address
        for _ in range(_MOST_BASES):
            words = self.memory.words(address, _TYPE_WORDS)
            if not words[_FLAGS] & _HEAP_TYPE or not words[_BASE]:
                break
            member = words[_MEMBERS]
            while member and len(found) < _MOST_SLOTS:
                name, _, offset = self.memory.words(member, 3)
                if not name:
                    break
                found.append((name, offset))
                member += _MEMBER_BYTES
            address = words[_BASE]
        return found

    def old_class(self, address: int) -> str:
        """Return module and name of one of Python 2's old-style classes."""
        try:
            attributes, name = self.memory.words(address + 24, 2)
            return f"{self._module(attributes)}.{self.text(name)}"
        except Unreadable:
            return "builtins.instance"

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

    def _module(self, attributes: int) -> str:
        """Return the __module__ among a class's attributes, or nothing."""
        for name, value in self.items(attributes):
            if self.text(name) == "__module__":
                try:
                    return self.text(value)
                except Unreadable:  # a property: of the class's objects, not of the class
                    return ""
        return ""

    def _base(self, address: int, words: typing.Sequence[int]) -> str:
        if words[_FLAGS] & _LIST:
            return "list"
        if words[_FLAGS] & _DICT_SUBCLASS:
            return "dict"
        for _ in range(_MOST_BASES):
            name = self.c_string(words[3])
            if name == "collections.deque":
                return "deque"
            if name in ("set", "frozenset") and not words[_FLAGS] & _HEAP_TYPE:
                return name
            if not words[_BASE]:
                return ""
            words = self.memory.words(words[_BASE], _TYPE_WORDS)
        raise Unreadable(f"no class at {address:#x}")

    def _is_class_of_classes(self, address: int) -> bool:
        """Some of Python 2's own classes have none: nobody ever asked for it."""
        if not address:
            return self.layout.keys == "2.7"
        return bool(self.memory.words(address, _TYPE_WORDS)[_FLAGS] & _TYPE)

    def _more_bytes(self, flags: int, keys: int) -> int:
        version = self.layout.attributes
        size = self.layout.gc_head if flags & _HAVE_GC else 0
        if version != "dict" and flags & _PREHEADER:
            size += 16
        if version == "3.13" and flags & _INLINE_VALUES and keys:
            _, _, usable, used = self.memory.words(keys, 4)
            names = min(usable + used, 255)
            size += -names % 8 + names + 8 * (names + 1)
        return size

    def _cached_keys(self, address: int, flags: int) -> int:
        if self.layout.attributes == "dict" or not flags & _HEAP_TYPE:
            return 0
        return self.memory.word(address + self.layout.qualname + 8)

    def _in_dict(self, address: int, kind: Type, wanted: Wanted) -> typing.List[Item]:
        offset = kind.dict_offset
        if offset <= 0:  # none, or after items of which there are more or fewer
            return []
        found = self.memory.word(address + offset)
        return self.items(found, wanted) if found else []

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

    def _split(self, keys: int, values: int, wanted: Wanted) -> typing.List[Item]:
        """Return what lies in values apart from their names."""
        address, count, size = self._where_entries_are(keys)
        if not 0 < count < _MOST_ENTRIES:
            return []
        found = self.memory.words(values, count)
        if wanted is not None and wanted.isdisjoint(found):
            return []
        step = size // 8
        return _pairs(self.memory.words(address, count * step)[step - 2 :: step], found, wanted)

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


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word
