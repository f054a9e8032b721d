"""Whatever stands in another process's memory, a walk over it ends, and counts nothing twice."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

import pytest

from memleash_diagnoser import cpython, tools
from memleash_diagnoser.gc_walk import Walk, cpu_seconds
from memleash_diagnoser.objects import Objects
from memleash_diagnoser.process_memory import Memory, Unreadable

HEADS = (0x10000, 0x10018, 0x10030, 0x10048)
STATISTICS = 0x10100
A_TYPE = 0x20000
FIRST = 0x40000
APART = 0x40
LAYOUT = cpython.Layout()
COLLECTOR = cpython.Collector(HEADS, STATISTICS)


class FakeMemory(Memory):
    """Words at addresses, zeros between them, nothing beyond ``end``; may change as it is read."""

    def __init__(self, end: int = 0x100000) -> None:
        self.words_at: dict[int, int] = {}
        self.end = end
        self.reads = 0
        self.change: Callable[[], None] = lambda: None
        super().__init__(self._pread)

    def _pread(self, size: int, address: int) -> bytes:
        if not HEADS[0] & ~0xFFFF <= address < self.end:
            raise OSError(5, "nothing is there")
        self.reads += 1
        self.change()
        found = bytearray(min(size, self.end - address))
        for at, word in self.words_at.items():
            if address <= at <= address + len(found) - 8:
                struct.pack_into("<Q", found, at - address, word)
        return bytes(found)

    def link(self, *nodes: int) -> None:
        """Make one ring of ``nodes``."""
        for node, following in zip(nodes, nodes[1:] + nodes[:1], strict=True):
            self.words_at[node] = following
            self.words_at[following + 8] = node

    def objects(self, count: int, first: int = FIRST) -> list[int]:
        """Return where the links of ``count`` new objects are; they all have A_TYPE."""
        nodes = [first + APART * number for number in range(count)]
        for node in nodes:
            self.words_at[node + 16], self.words_at[node + 24] = 1, A_TYPE
        return nodes


@pytest.fixture
def memory() -> FakeMemory:
    """Memory with four empty lists."""
    fake = FakeMemory()
    for head in HEADS:
        fake.link(head)
    return fake


def walked(memory: Memory, seconds: float = 30.0) -> tuple[list[int], Walk]:
    """Return what a walk yields, as addresses of links, and the walk."""
    until = cpu_seconds() + seconds
    walk = Walk(memory, LAYOUT, COLLECTOR, lambda address: address == A_TYPE, until)
    return [address - LAYOUT.gc_head for address, _ in walk.objects()], walk


def test_all_lists_are_walked_young_to_old(memory: FakeMemory) -> None:
    nodes = memory.objects(8)
    for number, head in enumerate(HEADS):
        memory.link(head, *nodes[2 * number : 2 * number + 2])

    found, walk = walked(memory)

    assert found == nodes
    assert (walk.returns, walk.unfinished) == (0, 0)


def test_the_flags_in_the_links_are_not_part_of_the_address(memory: FakeMemory) -> None:
    nodes = memory.objects(3)
    memory.link(HEADS[2], *nodes)
    for node in nodes:
        memory.words_at[node] |= 1
        memory.words_at[node + 8] |= 3

    assert walked(memory)[0] == nodes


Words = dict[int, int]
BROKEN: dict[str, Callable[[list[int]], Words]] = {
    "a link to where nothing is": lambda nodes: {nodes[5]: 0xDEAD00000000},
    "a link beyond all addresses": lambda nodes: {nodes[5]: 2**64 - 8},
    "a link to zero": lambda nodes: {nodes[5]: 0},
    "a link to itself": lambda nodes: {nodes[5]: nodes[5], nodes[5] + 8: nodes[5]},
    "a link to an earlier one": lambda nodes: {nodes[5]: nodes[2]},
    "a next one that points elsewhere": lambda nodes: {nodes[6] + 8: nodes[2]},
    "a type that is none": lambda nodes: {nodes[6] + 24: 0x30000},
    "an odd address": lambda nodes: {nodes[5]: nodes[6] + 4},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_torn_list_is_walked_up_to_there_and_told(
    memory: FakeMemory, broken: Callable[[list[int]], Words]
) -> None:
    nodes = memory.objects(10)
    memory.link(HEADS[2], *nodes)
    memory.words_at.update(broken(nodes))

    found, walk = walked(memory)

    assert found[:5] == nodes[:5]
    assert len(found) == len(set(found)) <= len(nodes)
    assert walk.unfinished == 1


def test_a_ring_without_a_head_is_left(memory: FakeMemory) -> None:
    nodes = memory.objects(50)
    memory.link(*nodes)
    memory.words_at[HEADS[2]] = nodes[0]
    memory.words_at[nodes[0] + 8] = HEADS[2]
    memory.words_at[nodes[-1]] = nodes[1]
    memory.words_at[nodes[1] + 8] = nodes[-1]

    found, walk = walked(memory)

    assert len(found) == len(set(found)) <= len(nodes)
    assert walk.unfinished == 1


def test_an_object_that_goes_meanwhile_costs_one_step_back(memory: FakeMemory) -> None:
    nodes = memory.objects(1000)
    memory.link(HEADS[2], *nodes)
    gone = nodes[600]

    def free() -> None:
        if memory.reads == 4:
            memory.link(HEADS[2], *(node for node in nodes if node != gone))
            memory.words_at[gone] = memory.words_at[gone + 8] = memory.words_at[gone + 24] = 0

    memory.change = free

    found, walk = walked(memory)

    assert [node for node in found if node != gone] == [node for node in nodes if node != gone]
    assert walk.unfinished == 0


def test_what_grows_old_meanwhile_is_counted_once(memory: FakeMemory) -> None:
    nodes = memory.objects(6)
    memory.link(HEADS[0], *nodes[:3])
    memory.link(HEADS[2], *nodes[3:])
    until = cpu_seconds() + 30
    walk = Walk(memory, LAYOUT, COLLECTOR, lambda address: address == A_TYPE, until)
    found = []
    for address, _ in walk.objects():
        found.append(address - LAYOUT.gc_head)
        if len(found) == 3:
            memory.link(HEADS[0])
            memory.link(HEADS[2], *nodes[3:], *nodes[:3])
            memory.forget()

    assert sorted(found) == nodes


def test_time_ends_a_walk(memory: FakeMemory) -> None:
    nodes = memory.objects(5000)
    memory.end = nodes[-1] + 0x1000
    memory.link(HEADS[2], *nodes)

    found, walk = walked(memory, seconds=0.0)

    assert 0 < len(found) < 5000
    assert walk.unfinished == 1


def test_a_collection_that_never_ends_is_not_waited_for_for_ever(
    memory: FakeMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memleash_diagnoser.gc_walk._MOST_PAUSES", 3)
    memory.words_at[STATISTICS + 72] = 1
    nodes = memory.objects(3)
    memory.link(HEADS[2], *nodes)
    memory.words_at[nodes[1]] = 0

    found, walk = walked(memory)

    assert found == nodes[:2]
    assert walk.unfinished


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_end_every_walk(seed: int) -> None:
    chance = random.Random(seed)

    def pread(size: int, address: int) -> bytes:
        if chance.random() < 0.1:
            raise OSError(5, "nothing is there")
        return chance.randbytes(size if chance.random() < 0.9 else chance.randrange(size))

    memory = Memory(pread)
    objects = Objects(memory, LAYOUT)
    collector = COLLECTOR._replace(statistics=0)  # else it would seem to be at work for ever
    walk = Walk(memory, LAYOUT, collector, objects.is_type, cpu_seconds() + 30)

    assert list(walk.objects()) == []
    assert walk.unfinished == len(HEADS)


@pytest.mark.parametrize("seed", range(30))
def test_random_links_among_real_objects_end_every_walk(memory: FakeMemory, seed: int) -> None:
    chance = random.Random(seed)
    nodes = memory.objects(40)
    ends: Sequence[int] = [*nodes, *HEADS]
    for node in ends:
        memory.words_at[node] = chance.choice(ends)
        memory.words_at[node + 8] = chance.choice(ends)

    found, walk = walked(memory)

    assert len(found) == len(set(found)) <= len(nodes)
    assert walk.unfinished <= len(HEADS)


@pytest.mark.parametrize("keys", ["2.7", "3.6", "3.11"])
@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_are_no_objects(seed: int, keys: str) -> None:
    chance = random.Random(seed)
    objects = Objects(Memory(lambda size, _: chance.randbytes(size)), LAYOUT._replace(keys=keys))

    for read in (objects.type, objects.text, objects.items, objects.c_string):
        try:
            read(FIRST)
        except Unreadable:
            continue


def test_a_process_that_is_no_cpython_is_refused_with_a_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("memleash_diagnoser.elf.images", lambda process, memory: iter(()))

    with pytest.raises(tools.Refused, match="no CPython"):
        cpython.find(None, FakeMemory())  # type: ignore[arg-type]
