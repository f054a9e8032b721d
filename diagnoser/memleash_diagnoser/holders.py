"""Names who holds a container, and what is in it, as far as reading tells.

A holder is a module (``app.CACHE``), a class or one of its objects (``Store.items``). What is held
by another container is named by who holds that one (``app.BY_USER[...]``). A local variable's and
a closure's have no name.
"""

import collections
import typing

from . import sizes
from .gc_walk import Tracked
from .objects import Objects, Type
from .process_memory import Unreadable
from .python_values import Item

_ELEMENTS = 100
_TRIES = 5
"""How often elements are read until some are found."""
_SLOTS_OF_A_SET = 4096
_MOST_ITEMS = 1 << 20
_MANAGED_DICT, _IS_CLASS = 1 << 4, 1 << 31

Names = typing.Dict[int, str]
Tracker = typing.Callable[[], typing.Iterator[Tracked]]
"""Begins another walk over all tracked objects."""


def names(objects: Objects, walk: Tracker, wanted: typing.Set[int]) -> Names:
    """Return who holds each of ``wanted`` (addresses); those that nobody holds are left out."""
    found = _by_attribute(objects, walk(), wanted)
    unknown = wanted - found.keys()
    if unknown:
        boxes = _by_container(objects, walk(), unknown)
        above = _by_attribute(objects, walk(), set(boxes.values())) if boxes else {}
        found.update({one: f"{above[box]}[...]" for one, box in boxes.items() if box in above})
    return found


def elements(objects: Objects, address: int) -> typing.Tuple[str, int]:
    """Return the commonest type of a container's last elements, and their mean bytes.

    Reads the memory anew: a container that grows has moved its elements since it was walked over,
    and may move them again between two reads.
    """
    for _ in range(_TRIES):
        objects.memory.forget()
        try:
            kind = objects.type(objects.memory.word(address + 8))
            some = _LAST[kind.base](objects, address)
        except (Unreadable, KeyError):
            continue
        seen = [found for found in (_size(objects, one) for one in some[-_ELEMENTS:]) if found]
        if seen:
            commonest = collections.Counter(name for name, _ in seen).most_common(1)[0][0]
            return commonest, sum(size for _, size in seen) // len(seen)
    return "", 0


def _size(objects: Objects, address: int) -> typing.Optional[typing.Tuple[str, int]]:
    try:
        return sizes.size(objects, address)
    except Unreadable:
        return None


def _by_attribute(
    objects: Objects, tracked: typing.Iterator[Tracked], wanted: typing.Set[int]
) -> Names:
    slots: typing.Dict[int, typing.List[Item]] = {}
    bare: typing.Set[int] = set()
    found: Names = {}
    for address, words in tracked:
        if words[3] in bare:
            continue
        kind = objects.types[words[3]]
        try:
            if kind.address not in slots:
                slots[kind.address] = objects.slots(kind)
                if not slots[kind.address] and not _has_attributes(kind):
                    bare.add(kind.address)
            for name, value in _attributes(objects, kind, address, wanted):
                found[value] = f"{_owner(objects, kind, address)}.{objects.text(name)}"
            for name, offset in slots[kind.address]:
                value = objects.memory.word(address + offset)
                if value in wanted:
                    found[value] = f"{kind.name}.{objects.c_string(name)}"
        except Unreadable:
            continue
        if len(found) == len(wanted):
            break
    return found


def _has_attributes(kind: Type) -> bool:
    named = kind.flags & (_IS_CLASS | _MANAGED_DICT) or kind.qualified in _DICT_AT
    return bool(named) or kind.dict_offset > 0


def _attributes(
    objects: Objects, kind: Type, address: int, wanted: typing.Set[int]
) -> typing.List[Item]:
    where = _where_the_dict_is(kind, address)
    if where is None:
        return objects.attributes(address, kind, wanted)
    found = objects.memory.word(where)
    return objects.items(found, wanted) if found else []


def _where_the_dict_is(kind: Type, address: int) -> typing.Optional[int]:
    """Return where a module's or a class's dict is told; None for other objects."""
    if kind.flags & _IS_CLASS:
        return address + 264
    return address + _DICT_AT[kind.qualified] if kind.qualified in _DICT_AT else None


_DICT_AT = {"builtins.module": 16, "builtins.instance": 24, "builtins.classobj": 24}
"""Of a module; and of Python 2's old-style objects and classes."""


def _owner(objects: Objects, kind: Type, address: int) -> str:
    """Return the name of a module or class, or of an object's class."""
    if kind.flags & _IS_CLASS:
        return objects.type(address).name
    if kind.qualified == "builtins.module":
        for name, value in objects.items(objects.memory.word(address + 16)):
            if objects.text(name) == "__name__":
                return objects.text(value)
    if kind.qualified == "builtins.classobj":
        return objects.text(objects.memory.word(address + 32))
    if kind.qualified == "builtins.instance":
        return objects.text(objects.memory.word(objects.memory.word(address + 16) + 32))
    return kind.name


def _by_container(
    objects: Objects, tracked: typing.Iterator[Tracked], wanted: typing.Set[int]
) -> typing.Dict[int, int]:
    """Return the container that holds each of ``wanted``, where one does."""
    found: typing.Dict[int, int] = {}
    for address, words in tracked:
        kind = objects.types[words[3]]
        try:
            if kind.base == "dict":
                held = [value for _, value in objects.items(address, wanted)]
            elif kind.base == "list":
                held = _hits(objects, words[5], words[4], wanted)
            elif kind.qualified == "builtins.tuple":
                held = _hits(objects, address + 24, words[4], wanted)
            else:
                continue
        except Unreadable:
            continue
        found.update((value, address) for value in held)
    return found


def _hits(objects: Objects, address: int, count: int, wanted: typing.Set[int]) -> typing.List[int]:
    if not 0 < count < _MOST_ITEMS:
        return []
    values = objects.memory.words(address, count)
    return [] if wanted.isdisjoint(values) else [value for value in values if value in wanted]


def _last_of_list(objects: Objects, address: int) -> typing.Sequence[int]:
    count, items = objects.memory.words(address + 16, 2)
    some = min(count, _ELEMENTS)
    return objects.memory.words(items + 8 * (count - some), some)


def _last_of_dict(objects: Objects, address: int) -> typing.Sequence[int]:
    return [value for _, value in objects.items(address)]


def _last_of_set(objects: Objects, address: int) -> typing.Sequence[int]:
    """A slot is (object, hash); an emptied one has the address of a dummy, which has no size."""
    mask, table = objects.memory.words(address + 32, 2)
    return [
        found
        for found in objects.memory.words(table, min(mask + 1, _SLOTS_OF_A_SET) * 2)[::2]
        if found
    ]


def _last_of_deque(objects: Objects, address: int) -> typing.Sequence[int]:
    """A block is a link, the elements, and a link."""
    old = objects.layout.keys == "2.7"
    block, _, last = objects.memory.words(address + (24 if old else 32), 3)
    count = objects.memory.word(address + (48 if old else 16))
    return objects.memory.words(block + 8, last + 1)[-count:] if last < 64 else ()


_LAST: typing.Dict[str, typing.Callable[[Objects, int], typing.Sequence[int]]] = {
    "list": _last_of_list,
    "dict": _last_of_dict,
    "set": _last_of_set,
    "deque": _last_of_deque,
}
