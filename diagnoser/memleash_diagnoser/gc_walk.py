"""Follows the garbage collector's lists of objects while the process goes on changing them.

The collector links what it tracks in rings of (next, previous) that stand before each object.
A walk trusts a step only if the next object points back and has a type that can be one. Where
that fails, the list has changed since it was read: the walk forgets what it read, goes back to
the last object that is still in its place, and counts nothing twice. It ends at a head, when
time is up, or when it has gone back too often; whatever stands in memory, it ends.
"""

import collections
import struct
import time
import typing

from .cpython import Collector, Layout
from .process_memory import Memory, Unreadable

_LINKS = struct.Struct("<2Q")
_FLAGS = 3
"""The lowest bits of a link are the collector's own."""
_TRAIL = 1000
_MOST_RETURNS = 200
_BATCH = 2048
_MOST_MET = 100000
_PAUSE_SECONDS = 0.01
_MOST_PAUSES = 1000
_YOUNG = 2
"""So many of a collector's lists, from the first on, hold young objects."""

Words = typing.Tuple[int, ...]
"""An object's first words: its list's next and previous, references, type, and four of its own."""
Tracked = typing.Tuple[int, Words]
"""An object's address and its words."""


def cpu_seconds() -> float:
    """Return the CPU time of this thread: at the lowest priority, time passes without any work."""
    return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)


class Walk:
    """One walk over all lists of one collector."""

    def __init__(
        self,
        memory: Memory,
        layout: Layout,
        collector: Collector,
        is_type: typing.Callable[[int], bool],
        until: float,
    ) -> None:
        """``is_type`` says whether a class can be at an address; ``until``: on ``cpu_seconds``."""
        self._memory = memory
        self._collector = collector
        self._gc_head = layout.gc_head
        self._words = struct.Struct(f"<2Q{layout.gc_head - 16}x6Q")
        self._is_type = is_type
        self._until = until
        self._pauses = 0
        self.returns = 0
        """How often it had to go back."""
        self.unfinished = 0
        """How many lists it did not walk to their end."""

    def objects(self) -> typing.Iterator[Tracked]:
        """Yield each tracked object once.

        The young lists come first: what grows old meanwhile is then met again, not missed, and
        is known by its address.
        """
        met: typing.Set[int] = set()
        for number, head in enumerate(self._collector.lists):
            yield from self._follow(head, met, young=number < _YOUNG)

    def _follow(self, head: int, met: typing.Set[int], *, young: bool) -> typing.Iterator[Tracked]:
        """Yield the objects of the list at ``head`` that were not ``met`` before.

        A young list may become a part of an older one while it is walked: any head ends it.
        """
        trail: typing.Deque[int] = collections.deque(maxlen=_TRAIL)
        ends = self._collector.lists if young else (head,)
        previous, steps, returns, mark = head, 0, 0, 0
        node = self._next(head)
        while node not in ends:
            words = self._step(previous, node)
            if words is None:
                returns += 1
                back = self._back_to(trail, head, met) if returns <= _MOST_RETURNS else 0
                if not back:
                    break
                previous, node = back, self._next(back)
                continue
            if node not in met:
                if len(met) < _MOST_MET:
                    met.add(node)
                yield node + self._gc_head, words
            trail.append(node)
            steps += 1
            if node == mark or (steps % _BATCH == 0 and cpu_seconds() > self._until):
                break
            if steps & (steps - 1) == 0:
                mark = node  # a ring without a head leads back here (Brent's way)
            previous, node = node, words[0] & ~_FLAGS
        else:
            self.returns += returns
            return
        self.returns += returns
        self.unfinished += 1

    def _step(self, previous: int, node: int) -> typing.Optional[Words]:
        """Return the words of the object behind ``previous``; None when it cannot be that one."""
        try:
            words = self._memory.unpack(self._words, node)
        except Unreadable:
            return None
        if words[1] & ~_FLAGS == previous and self._is_type(words[3]):
            return words
        return None

    def _next(self, node: int) -> int:
        """Return what follows ``node`` now, 0 where nothing can."""
        try:
            return int(self._memory.unpack(_LINKS, node)[0]) & ~_FLAGS
        except Unreadable:
            return 0

    def _back_to(self, trail: typing.Deque[int], head: int, met: typing.Set[int]) -> int:
        """Return the last of ``trail`` that still is in a list, and cut the trail behind it.

        It is ``head`` where none is and all objects up to here are in ``met``; 0 where there is
        no way back. Waits for a collection to be over: it moves everything to lists of its own.
        """
        all_are_met = len(met) < _MOST_MET
        met.update(trail)
        while self._is_collecting() and self._pauses < _MOST_PAUSES:
            self._pauses += 1
            time.sleep(_PAUSE_SECONDS)
        self._memory.forget()
        while trail:
            if self._is_linked(trail[-1]):
                return trail[-1]
            trail.pop()
        return head if all_are_met and cpu_seconds() < self._until else 0

    def _is_collecting(self) -> bool:
        try:
            return self._collector.state(self._memory).is_working
        except Unreadable:
            return False

    def _is_linked(self, node: int) -> bool:
        try:
            following, previous = (link & ~_FLAGS for link in self._memory.words(node, 2))
            return (
                self._memory.words(following, 2)[1] & ~_FLAGS == node
                and self._memory.words(previous, 1)[0] & ~_FLAGS == node
            )
        except Unreadable:
            return False
