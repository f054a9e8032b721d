"""Worlds whose engine stands in for DBOS."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memleash_responder.usecases import restart_workflow as workflow
from tests.unit.usecases.world import World

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeWorld]:
    """Return a factory of a world; with the next, the one before ends and gives its files up."""
    folders = (tmp_path / str(number) for number in itertools.count())
    last: World | None = None

    def end_last() -> None:
        if last is not None:
            last.services.tables.database.close()

    def make(**how: Any) -> World:
        nonlocal last
        end_last()
        folder = next(folders)
        folder.mkdir()
        last = World(folder, **how)
        monkeypatch.setattr(workflow, "run_step", last.engine.run_step)
        return last

    yield make
    end_last()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """One host, every guard at its default."""
    return make_world()
