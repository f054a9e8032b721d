"""Counts what a CPython's garbage collector tracks, by type, without its help: reading alone.

The process is not stopped, nothing is written or called in it, and it runs no code for this. So
it changes while it is counted, and each look says how sure it is (gc_walk.py tells how it goes on).
"""

import time
import typing

from . import cpython, holders, tools
from .gc_walk import Tracked, Walk, cpu_seconds
from .objects import Objects
from .process import Process
from .process_memory import ProcessMemory, Unreadable
from .tally import Counts, Tally

_ATTEMPTS = 3
_REFRESHES = 10

Names = typing.Dict[str, typing.List[typing.Any]]


class Look(typing.NamedTuple):
    """What one round found; ``types`` and ``containers`` as the hook's answer has them."""

    types: Counts
    """Qualified name of a type to [count, bytes], the largest ones."""
    containers: typing.Dict[str, typing.List[typing.Any]]
    """Address in hex of a long list, dict, set or deque to [type, length], the longest ones."""
    notes: typing.List[str]
    seconds: float
    """How long it took, in all its attempts."""
    objects: int
    """How many objects were counted."""
    returns: int
    """How often the walk went back, since the list had changed under it."""
    unfinished: int
    """How many lists could not be walked to their end: their rest is not counted."""
    collected: bool
    """Whether a full collection came in between: some may be counted twice, or not."""

    @property
    def is_sure(self) -> bool:
        """Whether all that was tracked was counted, but for what changed meanwhile."""
        return not self.unfinished and not self.collected


class Census:
    """One CPython process, opened for reading."""

    def __init__(self, process: Process) -> None:
        """Raises Gone, or tools.Refused when it is no CPython that is known, or may not be read."""
        self.process = process
        self._memory = ProcessMemory(process)
        try:
            self._cpython = cpython.find(process, self._memory)
        except BaseException:
            self._memory.close()
            raise
        self.version = self._cpython.version

    def close(self) -> None:
        """Let go of the process."""
        self._memory.close()

    def look(self, seconds: float) -> Look:
        """Return what is alive now, for at most ``seconds`` of CPU. Raises Gone, or tools.Refused.

        Looks again, within its time, when the first look is not sure, and keeps the surest.
        """
        began, until = time.monotonic(), cpu_seconds() + seconds
        looks: typing.List[Look] = []
        self._memory.forget()
        for attempt in range(1, _ATTEMPTS + 1):
            looks.append(self._attempt(until))
            self.process.check()
            left = until - cpu_seconds()
            if looks[-1].is_sure or left < (seconds - left) / attempt:
                break
        best = min(looks, key=lambda look: (look.unfinished, look.collected, -look.objects))
        return best._replace(seconds=round(time.monotonic() - began, 3), notes=_notes(best))

    def names(self, wanted: typing.Sequence[str], seconds: float) -> Names:
        """Return, by address in hex as ``look`` gave it, who holds a container and what is in it.

        In words: [holder, commonest type of its elements, their mean bytes], the first two empty
        where they cannot be told. Takes at most ``seconds`` of CPU. Raises Gone, or tools.Refused.
        """
        until = cpu_seconds() + seconds
        addresses = {int(key, 16): key for key in wanted}
        self._memory.forget()
        objects = Objects(self._memory, self._cpython.layout)

        def walk() -> typing.Iterator[Tracked]:
            for collector in self._collectors():
                yield from self._walk(objects, collector, until).objects()

        found = holders.names(objects, walk, set(addresses))
        self.process.check()
        return {
            key: [found.get(address, ""), *holders.elements(objects, address)]
            for address, key in addresses.items()
        }

    def _walk(self, objects: Objects, collector: cpython.Collector, until: float) -> Walk:
        return Walk(self._memory, self._cpython.layout, collector, objects.is_type, until)

    def _attempt(self, until: float) -> Look:
        objects = Objects(self._memory, self._cpython.layout)
        tally = Tally(objects)
        returns = unfinished = 0
        collected = False
        for collector in self._collectors():
            before = self._read_again(collector)
            walk = self._walk(objects, collector, until)
            for address, words in walk.objects():
                tally.count(address, words)
            returns, unfinished = returns + walk.returns, unfinished + walk.unfinished
            collected = collected or self._state(collector).collections[-1] != before
        counts = (tally.objects, returns, unfinished)
        return Look(tally.types(), tally.containers(), [], 0.0, *counts, collected=collected)

    def _read_again(self, collector: cpython.Collector) -> int:
        """Read again what is kept of the memory, between two collections where that is possible.

        Returns the number of full collections up to then.
        """
        for _ in range(_REFRESHES):
            before = self._state(collector)
            self._memory.refresh()
            if before == self._state(collector) and not before.is_working:
                break
        return before.collections[-1]

    def _collectors(self) -> typing.List[cpython.Collector]:
        try:
            return self._cpython.collectors(self._memory)
        except Unreadable as error:
            self.process.check()
            raise tools.Refused(f"the interpreter is not there any more: {error}") from error

    def _state(self, collector: cpython.Collector) -> cpython.State:
        try:
            return collector.state(self._memory)
        except Unreadable as error:
            self.process.check()
            raise tools.Refused(f"the interpreter is not there any more: {error}") from error


def _notes(look: Look) -> typing.List[str]:
    notes = []
    if look.unfinished:
        notes.append(
            f"{look.unfinished} of the collector's lists changed too fast to be walked to the end:"
            f" {look.objects} objects were counted, others were not"
        )
    if look.collected:
        notes.append("a full collection came in between: some objects may be counted twice or not")
    return notes
