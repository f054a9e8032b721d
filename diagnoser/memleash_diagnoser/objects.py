"""Classes of a CPython process and the attributes of their objects, read from outside.

Sources: Include/cpython/object.h (PyTypeObject), Include/internal/pycore_object.h and
pycore_dict.h of each version; where they differ, cpython.Layout says how.
"""

import typing

from .cpython import Layout
from .process_memory import Memory, Unreadable
from .python_values import Item, Values, Wanted

_TYPE_WORDS = 52
_BASICSIZE, _ITEMSIZE, _FLAGS, _MEMBERS, _BASE, _DICT, _DICTOFFSET = 4, 5, 21, 30, 32, 33, 36
"""Indices of PyTypeObject's fields, in words."""
_INLINE_VALUES, _PREHEADER, _MANAGED_DICT = 1 << 2, 3 << 3, 1 << 4
_HEAP_TYPE, _HAVE_GC = 1 << 9, 1 << 14
_LONG, _LIST, _DICT_SUBCLASS, _TYPE = 1 << 24, 1 << 25, 1 << 29, 1 << 31
_MOST_BASICSIZE = 1 << 20
_MOST_BASES = 50
_MOST_SLOTS = 100
_MEMBER_BYTES = 40


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


class Objects(Values):
    """Reads a process's objects by address. Every method raises Unreadable."""

    def __init__(self, memory: Memory, layout: Layout) -> None:
        super().__init__(memory, layout)
        self.types: typing.Dict[int, Type] = {}
        """Classes that ``is_type`` met, by address: those whose objects are tracked."""

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
            return self.split(kind.keys, values, wanted)
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


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word
