"""Worlds whose engine stands in for DBOS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memleash_responder.usecases import restart_workflow as workflow
from tests.unit.usecases.world import World

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeWorld]:
    """Return a factory of a world; the last one made is the one whose engine runs steps."""
    worlds: list[World] = []

    def make(**how: Any) -> World:
        folder = tmp_path / str(len(worlds))
        folder.mkdir()
        world = World(folder, **how)
        worlds.append(world)
        monkeypatch.setattr(workflow, "run_step", world.engine.run_step)
        return world

    yield make
    for world in worlds:
        world.services.memory.database.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """One host, every guard at its default."""
    return make_world()
