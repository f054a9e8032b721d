"""A container that grows replaces its table now and then, perhaps just when it is looked at."""

from __future__ import annotations

import os
from typing import Any, NoReturn

import pytest

from memleash_diagnoser import holders, process
from memleash_diagnoser.census import Census
from memleash_diagnoser.objects import Objects
from memleash_diagnoser.process_memory import Unreadable


def unreadable(*_: Any, **__: Any) -> NoReturn:
    raise Unreadable(0)


def beyond_all_sense(*_: Any, **__: Any) -> int:
    return 1 << 60


class Held:
    pass


@pytest.mark.parametrize("dict_bytes", [unreadable, beyond_all_sense])
def test_a_dict_whose_table_is_gone_still_has_its_length(
    dict_bytes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Objects, "dict_bytes", dict_bytes)
    cache: dict[int, list[int]] = {number: [] for number in range(200_000)}
    census = Census(process.find(os.getpid()))
    try:
        look = census.look(60.0)
    finally:
        census.close()

    assert look.containers[f"{id(cache):x}"] == ["dict", 200_000]


def test_a_list_that_moved_since_the_walk_still_has_its_elements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = [Held()] * 5_000_000  # 40 MB: most of it is given back when the list gets shorter
    names = holders.names

    def names_before_it_moves(*arguments: Any) -> holders.Names:
        found = names(*arguments)
        del held[200:]
        return found

    monkeypatch.setattr(holders, "names", names_before_it_moves)
    census = Census(process.find(os.getpid()))
    try:
        named = census.names([f"{id(held):x}"], 60.0)
    finally:
        census.close()

    assert named[f"{id(held):x}"][1] == "Held"
