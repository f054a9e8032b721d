"""Releases of one minor version of CPython may align the collector's lists in two ways."""

from __future__ import annotations

import struct

import pytest

from memleash_diagnoser.cpython import LAYOUTS, Interpreter, fitted
from memleash_diagnoser.process_memory import Memory

BASE = 0x10000
LAYOUT = LAYOUTS[3, 13]._replace(gc=64)


def runtime_with(lists: tuple[int, ...]) -> Memory:
    """A collector's state behind BASE, whose lists are empty: their heads point to themselves."""
    content = bytearray(0x8000)
    for offset in (LAYOUT.gc + offset for offset in lists):
        struct.pack_into("<2Q", content, offset, BASE + offset, BASE + offset)
    return Memory(lambda size, address: bytes(content[address - BASE :][:size]))


@pytest.mark.parametrize("lists", [LAYOUT.lists, LAYOUT.other_lists])
def test_the_lists_are_found_in_either_way(lists: tuple[int, ...]) -> None:
    """Debian 13's 3.13.5 was refused: in 3.13.0 the young list stands 4 bytes further."""
    found = fitted(runtime_with(lists), Interpreter("3.13", LAYOUT, BASE))

    assert found is not None
    assert found.layout.lists == lists


def test_what_has_its_lists_elsewhere_is_refused() -> None:
    assert fitted(runtime_with((200, 240)), Interpreter("3.13", LAYOUT, BASE)) is None
