"""Pauses and maintenances whose end has come: logged once, forgotten, and mutes follow."""

from __future__ import annotations

import dataclasses

import pytest

from memleash_responder.core.maintenance import Maintenance
from memleash_responder.core.pauses import Pause
from memleash_responder.usecases.expiry import forget_over
from tests.unit.usecases.world import World


def ends(world: World, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Let what is over be forgotten, and return what was logged."""
    caplog.clear()
    with caplog.at_level("INFO"):
        forget_over(world.services)
    return caplog.messages


def test_a_maintenance_that_ends_by_itself_is_logged_once_and_mutes_follow(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    services, now = world.services, world.clock.now()
    services.tables.maintenance.begin("node-1", Maintenance("ann", "new disks", now, now + 60))
    services.tables.maintenance.begin("node-2", Maintenance("bob", "a new rack", now, None))
    world.clock.advance(59.5)
    assert ends(world, caplog) == []
    assert not services.mutes_changed.is_set()
    world.clock.advance(0.5)
    assert ends(world, caplog) == ["maintenance ended by itself"]
    assert services.mutes_changed.is_set()
    services.mutes_changed.clear()
    world.clock.advance(3600)
    assert ends(world, caplog) == []
    assert not services.mutes_changed.is_set()
    assert services.tables.maintenance.all().keys() == {"node-2"}


def test_a_maintenance_that_is_renewed_at_its_end_goes_on(world: World) -> None:
    kept, now = world.services.tables.maintenance, world.clock.now()
    over = Maintenance("ann", "new disks", now - 60, now)
    kept.begin("node-1", dataclasses.replace(over, until=now + 60))
    assert not kept.forget("node-1", over)
    assert kept.holding(now).keys() == {"node-1"}


def test_a_pause_that_ends_by_itself_is_logged_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    now = world.clock.now()
    world.services.tables.pauses.put(Pause("rack-7", "ann", "it moves", now, now + 60))
    assert ends(world, caplog) == []
    world.clock.advance(60)
    assert ends(world, caplog) == ["pause ended by itself"]
    assert ends(world, caplog) == []
    assert world.services.tables.pauses.all() == []
