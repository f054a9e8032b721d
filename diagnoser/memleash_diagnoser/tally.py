"""Counts tracked objects by type, with what they take, and remembers the long containers."""

import collections
import heapq
import typing

from . import hook, sizes
from .objects import Objects, Type
from .process_memory import Unreadable
from .sizes import Measure, Words

_SANE_BYTES = 1 << 40

Counts = typing.Dict[str, typing.List[int]]


class _Kind:
    """What was counted of one class."""

    __slots__ = ("count", "measure", "more_bytes", "type")

    def __init__(self, kind: Type, measure: typing.Optional[Measure]) -> None:
        self.type = kind
        self.measure = measure
        self.count = 0
        self.more_bytes = 0

    def counts(self, objects: Objects) -> typing.Iterator[typing.Tuple[str, int, int]]:
        """Yield name, count and bytes: one, or one for each old-style class of Python 2."""
        each = self.type.basic_bytes + self.type.more_bytes
        if isinstance(self.measure, _ByClass):
            for address, count in self.measure.counts.items():
                yield objects.old_class(address), count, count * each
        elif self.count:
            yield self.type.qualified, self.count, self.count * each + self.more_bytes


class Tally:
    """Counts objects by type. Raises nothing: what cannot be read has no size."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._kinds: typing.Dict[int, _Kind] = {}
        self._long: typing.List[typing.Tuple[int, int, str]] = []

    @property
    def objects(self) -> int:
        """How many were counted."""
        return sum(kind.count for kind in self._kinds.values())

    def count(self, address: int, words: Words) -> None:
        """Count the object at ``address``, whose class Objects knows."""
        kind = self._kinds.get(words[3])
        if kind is None:
            found = self._objects.types[words[3]]
            kind = self._kinds[words[3]] = _Kind(found, self._measure(found))
        kind.count += 1
        if kind.measure is None:
            return
        try:
            more_bytes, length = kind.measure(self._objects, kind.type, address, words)
        except Unreadable:
            return
        if 0 <= more_bytes < _SANE_BYTES:
            kind.more_bytes += more_bytes
        if hook.LARGE_CONTAINER <= length < _SANE_BYTES:
            self._long.append((length, address, kind.type.name))

    def types(self) -> Counts:
        """Return [count, bytes] by qualified name, the largest ones."""
        named: Counts = {}
        for kind in self._kinds.values():
            for name, count, size in kind.counts(self._objects):
                entry = named.setdefault(name, [0, 0])
                entry[0] += count
                entry[1] += size
        return dict(heapq.nlargest(hook.MOST_NAMES, named.items(), key=lambda item: item[1][1]))

    def containers(self) -> typing.Dict[str, typing.List[typing.Any]]:
        """Return [type, length] by address in hex, the longest ones."""
        longest = heapq.nlargest(hook.MOST_CONTAINERS, self._long)
        return {f"{address:x}": [name, length] for length, address, name in longest}

    def _measure(self, kind: Type) -> typing.Optional[Measure]:
        old_class = self._objects.layout.keys == "2.7" and kind.qualified == "builtins.instance"
        return _ByClass() if old_class else sizes.measure(self._objects, kind)


class _ByClass:
    """Counts the objects of Python 2's old-style classes, which all have one type."""

    def __init__(self) -> None:
        self.counts: typing.Counter[int] = collections.Counter()

    def __call__(self, _: Objects, __: Type, ___: int, words: Words) -> typing.Tuple[int, int]:
        self.counts[words[4]] += 1
        return 0, 0
