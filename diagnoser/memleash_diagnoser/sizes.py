"""What an object takes: sys.getsizeof, as far as it can be read cheaply from outside.

That is the object itself, and what a list, dict, set or deque allocated beside it. An own
__sizeof__ of a class is not known out here.
"""

import typing

from .objects import Objects, Type
from .process_memory import Unreadable

Words = typing.Tuple[int, ...]
"""An object's first words behind two others: references, type, and four of its own."""
Measure = typing.Callable[[Objects, Type, int, Words], typing.Tuple[int, int]]
"""An object's bytes beyond those that each of its type has, and its length."""

_SMALL_TABLE = 8
_LONG, _STR = 1 << 24, 1 << 28


def measure(objects: Objects, kind: Type) -> typing.Optional[Measure]:
    """Return what measures objects of ``kind``; None where all of them are of one size."""
    if kind.base:
        return (_MEASURES_2_7 if objects.layout.keys == "2.7" else _MEASURES)[kind.base]
    if kind.flags & _STR and objects.layout.keys != "2.7":
        return _str
    return _items if kind.item_bytes else None


def size(objects: Objects, address: int) -> typing.Tuple[str, int]:
    """Return the name of the type of the object at ``address``, and its bytes. Unreadable."""
    words = (0, 0, *objects.memory.words(address, 6))
    kind = objects.type(words[3])
    measured = measure(objects, kind)
    more = measured(objects, kind, address, words)[0] if measured else 0
    return kind.name, kind.basic_bytes + kind.more_bytes + more


def _list(_: Objects, __: Type, ___: int, words: Words) -> typing.Tuple[int, int]:
    return 8 * words[6], words[4]


def _dict(objects: Objects, _: Type, __: int, words: Words) -> typing.Tuple[int, int]:
    """A table that is replaced at this moment has no size; the length stands in the dict itself."""
    try:
        more_bytes = objects.dict_bytes(words[6], split=words[7] != 0)
    except Unreadable:
        more_bytes = 0
    return more_bytes, words[4]


def _dict_2_7(_: Objects, __: Type, ___: int, words: Words) -> typing.Tuple[int, int]:
    return _table(24, words[6]), words[5]


def _set(_: Objects, __: Type, ___: int, words: Words) -> typing.Tuple[int, int]:
    return _table(16, words[6]), words[5]


def _frozenset(_: Objects, __: Type, ___: int, words: Words) -> typing.Tuple[int, int]:
    return _table(16, words[6]), 0  # it never gets longer


def _deque(_: Objects, __: Type, ___: int, words: Words) -> typing.Tuple[int, int]:
    """Blocks of 64 elements and two links; words: length, first and last block, first index."""
    return (words[7] + words[4] + 63) // 64 * 66 * 8, words[4]


def _deque_2_7(objects: Objects, _: Type, address: int, words: Words) -> typing.Tuple[int, int]:
    """The same with 62 elements; its length stands further behind."""
    length = objects.memory.word(address + 48)
    return (words[6] + length + 61) // 62 * 64 * 8, length


def _str(objects: Objects, kind: Type, _: int, words: Words) -> typing.Tuple[int, int]:
    """Letters behind a header that is shorter than the type's basic size."""
    state = words[6]
    ascii_alone = state >> 6 & 1
    header = objects.layout.ascii if ascii_alone else objects.layout.compact
    return header - kind.basic_bytes + (words[4] + 1) * (state >> 2 & 7), 0


def _items(objects: Objects, kind: Type, _: int, words: Words) -> typing.Tuple[int, int]:
    """An int has its sign in its length; from 3.12 on, three bits beside it."""
    count = words[4] if words[4] < 1 << 63 else (1 << 64) - words[4]
    if kind.flags & _LONG and objects.layout.ascii == 40:
        count >>= 3
    return count * kind.item_bytes, 0


def _table(entry_bytes: int, mask: int) -> int:
    """Return what a hash table takes; a small one lies in the object itself."""
    return entry_bytes * (mask + 1) if mask >= _SMALL_TABLE else 0


_MEASURES: typing.Dict[str, Measure] = {
    "list": _list,
    "dict": _dict,
    "set": _set,
    "frozenset": _frozenset,
    "deque": _deque,
}
_MEASURES_2_7 = {**_MEASURES, "dict": _dict_2_7, "deque": _deque_2_7}
