"""Where each CPython keeps what the garbage collector tracks: finds it and says how it is laid out.

The offsets are those of 64-bit builds, the same on x86_64 and aarch64, from the headers of
each version (Include/internal/pycore_runtime.h, pycore_interp.h, pycore_gc.h);
tests/integration/diagnose/test_layouts.py has a C compiler check them. From 3.13 on CPython
publishes those of the interpreter itself (struct _Py_DebugOffsets, at the start of _PyRuntime).
"""

import re
import struct
import typing

from . import elf, tools
from .process import Process
from .process_memory import Memory, Unreadable

_MOST_INTERPRETERS = 64
_TRIES = 20
_COOKIE = b"xdebugpy"
_VERSION = re.compile(rb"([23]\.\d{1,2}\.\d{1,2}\S{0,20}) \(")
_VERSION_WINDOW = 1024**2
_MOST_DATA = 32 * 1024**2
"""So much of a program's data is searched for its version; CPython's own is some 2 MiB."""


class Layout(typing.NamedTuple):
    """How one minor version lays out its collector's state and its objects, in bytes."""

    interpreters: int = 0
    """From _PyRuntime to the first interpreter's address; where the version has one."""
    gc: int = 0
    """From the interpreter (to 3.8: from _PyRuntime) to the collector's state."""
    lists: typing.Tuple[int, ...] = (24, 48, 72, 104)
    """From the collector's state to each list of objects: young to old, then the frozen ones."""
    other_lists: typing.Tuple[int, ...] = ()
    """The same in later releases of the version, which align the heads to 4 bytes, not to 8."""
    statistics: int = 128
    """From the collector's state to what it counts of each generation; then: is it at work."""
    next: int = 0
    """From an interpreter to the address of the next one."""
    gc_head: int = 16
    """From the links of an object's list to the object."""
    qualname: int = 0
    """From a class to its __qualname__; 0 where there is none."""
    ascii: int = 48
    """From a string of ASCII alone to its letters."""
    compact: int = 72
    """From any other string to its letters."""
    keys: str = "3.6"
    """The version in which dicts got the layout that they have."""
    attributes: str = "dict"
    """Where instances keep their attributes: a dict, or the version of what stands for it."""


_OLD = Layout(gc_head=32, lists=(), statistics=0)
LAYOUTS: typing.Dict[typing.Tuple[int, int], Layout] = {
    (2, 7): _OLD._replace(keys="2.7"),
    (3, 6): _OLD._replace(qualname=848),
    (3, 7): _OLD._replace(
        gc=320,
        lists=(32, 80, 128, 192),
        statistics=240,
        qualname=848,
    ),
    (3, 8): Layout(gc=344, qualname=864),
    (3, 9): Layout(interpreters=32, gc=616, qualname=856),
    (3, 10): Layout(interpreters=32, gc=616, qualname=864),
    (3, 11): Layout(40, 648, qualname=864, keys="3.11", attributes="3.11"),
    (3, 12): Layout(40, 112, qualname=872, ascii=40, compact=56, keys="3.11", attributes="3.12"),
    (3, 13): Layout(
        other_lists=(20, 44, 68, 104),
        qualname=872,
        ascii=40,
        compact=56,
        keys="3.11",
        attributes="3.13",
    ),
    (3, 14): Layout(
        lists=(24, 48, 72, 96),  # the same for the generations and for the incremental collector
        statistics=120,
        qualname=872,
        ascii=40,
        compact=56,
        keys="3.11",
        attributes="3.13",
    ),
}
NEXT_AND_GC = {(3, 13): (64, 80), (3, 14): (64, 88)}
"""Where _Py_DebugOffsets has an interpreter's ``next`` and ``gc``."""
HEADS_AT = 40
"""Where _Py_DebugOffsets has ``interpreters_head``."""
_GENERATION_BYTES = (48, 40)
"""What a generation took before 3.7: its head was aligned to 16 bytes, and is not in 2.7.15 on."""


class State(typing.NamedTuple):
    """What a garbage collector says of its own work."""

    collections: typing.Tuple[int, ...]
    """How many there were of each generation, young to old."""
    is_working: bool


class Collector(typing.NamedTuple):
    """The state of one garbage collector: addresses in the process."""

    lists: typing.Tuple[int, ...]
    """The head of each list of tracked objects: young to old, then the frozen ones."""
    statistics: int
    """Three times: collections, objects collected, objects not collectable (8 bytes each); then
    an int that is not 0 while it works. 0 where it cannot be found."""

    def state(self, memory: Memory) -> State:
        """Return what it says of its work just now. Raises Unreadable."""
        if not self.statistics:
            return State((0,), is_working=False)
        *counts, working = struct.unpack("<9Qi", memory.read(self.statistics, 76))
        return State(tuple(counts[::3]), is_working=working != 0)


class Interpreter(typing.NamedTuple):
    """A CPython that was found in a process."""

    version: str
    layout: Layout
    runtime: int
    """Address of _PyRuntime; before 3.7, of the variable _PyGC_generation0."""

    def collectors(self, memory: Memory) -> typing.List[Collector]:
        """Return the collectors that there are now: one, or one a subinterpreter. Unreadable."""
        layout = self.layout
        if not layout.gc:
            return [_before_3_7(memory, self.runtime)]
        if not layout.interpreters:
            return [_collector(layout, self.runtime + layout.gc)]
        found: typing.List[Collector] = []
        interpreter = memory.words(self.runtime + layout.interpreters, 1)[0]
        while interpreter and len(found) < _MOST_INTERPRETERS:
            found.append(_collector(layout, interpreter + layout.gc))
            interpreter = memory.words(interpreter + layout.next, 1)[0]
        return found


def find(process: Process, memory: Memory) -> Interpreter:
    """Return the CPython that ``process`` runs. Raises Gone, or tools.Refused: none is known."""
    reason = "it is no CPython: no library or program in it has the symbols of one"
    for image in elf.images(process, memory):
        try:
            runtime = image.symbol("_PyRuntime") or image.symbol("_PyGC_generation0")
            if runtime is None:
                continue
            found = _interpreter(memory, image, runtime)
            fitting = fitted(memory, found)
            if fitting is not None:
                return fitting
            reason = f"CPython {found.version} in it is not laid out as its release is"
        except (Unreadable, IndexError):
            reason = "the CPython in it is not up yet, or a build that is not known"
    raise tools.Refused(reason)


def fitted(memory: Memory, found: Interpreter) -> typing.Optional[Interpreter]:
    """Return ``found`` with the lists where its release has them; None: nowhere. Unreadable."""
    for lists in (found.layout.lists, found.layout.other_lists):
        fitting = found._replace(layout=found.layout._replace(lists=lists))
        heads = fitting.collectors(memory)[0].lists
        if heads and all(_is_list(memory, head) for head in heads):
            return fitting
    return None


def _interpreter(memory: Memory, image: elf.Image, runtime: int) -> Interpreter:
    """Raises Unreadable, or tools.Refused for a version that is not known."""
    start = memory.read(runtime, 128)
    cookie, number, free_threaded = struct.unpack_from("<8sQQ", start)
    if cookie == _COOKIE and free_threaded:
        raise tools.Refused(
            "it is a free-threaded CPython, which keeps no lists of its objects: add the hook"
        )
    if cookie != _COOKIE:
        known = image.symbol("Py_Version")
        number = memory.words(known, 1)[0] if known is not None else 0
    version = _in_words(number) if number else _version_in(memory, image)
    minor = tuple(int(part) for part in version.split(".")[:2])
    layout = LAYOUTS.get((minor[0], minor[1]))
    if layout is None:
        known_ones = "2.7 and 3.6 to 3.14"
        raise tools.Refused(f"it is CPython {version}; known are {known_ones}: add the hook")
    if (minor[0], minor[1]) in NEXT_AND_GC:
        heads, following, gc = (
            struct.unpack_from("<Q", start, where)[0]
            for where in (HEADS_AT, *NEXT_AND_GC[minor[0], minor[1]])
        )
        layout = layout._replace(interpreters=heads, next=following, gc=gc)
    return Interpreter(version, layout, runtime)


def _in_words(number: int) -> str:
    """Return PY_VERSION_HEX as a version."""
    stage = {0xA: "a", 0xB: "b", 0xC: "rc"}.get(number >> 4 & 0xF, "")
    serial = f"{stage}{number & 0xF}" if stage else ""
    return f"{number >> 24 & 0xFF}.{number >> 16 & 0xFF}.{number >> 8 & 0xFF}{serial}"


def _version_in(memory: Memory, image: elf.Image) -> str:
    """Return the version from the text of Py_GetVersion, which is made when CPython starts."""
    left = _MOST_DATA
    for start, size in image.writable:
        end = start + min(size, left)
        left -= end - start
        for address in range(start, end, _VERSION_WINDOW):
            length = min(_VERSION_WINDOW + 64, end - address)
            found = _VERSION.search(memory.read(address, length))
            if found:
                return found.group(1).decode("ascii", "replace")
    raise Unreadable("it does not say its version")


def _collector(layout: Layout, state: int) -> Collector:
    return Collector(
        tuple(state + offset for offset in layout.lists),
        state + layout.statistics,
    )


def _before_3_7(memory: Memory, variable: int) -> Collector:
    """Return the three generations that _PyGC_generation0 points to the first of."""
    first = memory.words(variable, 1)[0]
    for size in _GENERATION_BYTES:
        heads = (first, first + size, first + 2 * size)
        if all(_is_list(memory, head) for head in heads):
            return Collector(heads, 0)
    raise Unreadable("no generations")


def _is_list(memory: Memory, head: int) -> bool:
    """Return whether an end of the list at ``head`` points back; it may be busy, so try again."""
    for _ in range(_TRIES):
        memory.forget()
        try:
            following, previous = (link & ~3 for link in memory.words(head, 2))
            if memory.word(following + 8) & ~3 == head or memory.word(previous) & ~3 == head:
                return True
        except Unreadable:
            continue
    return False
