"""docs/metrics.md and the rules' list name exactly what the responder publishes."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from memleash_responder.adapters.clock import Clock
from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.migrations import upgrade
from memleash_responder.adapters.own_metrics import Telemetry
from memleash_responder.core.facts import Host
from memleash_responder.settings import InventorySettings, Settings
from memleash_responder.usecases.services import Tables
from memleash_responder.web.metrics import StateCollector

ROOT = Path(__file__).parents[3]
_NAME = r"memleash_responder_[a-z_]+"


@pytest.fixture
def published(tmp_path: Path) -> set[str]:
    """The names in a responder's scrape, as Prometheus stores them."""
    database = Database(f"sqlite:///{tmp_path / 'responder.db'}")
    upgrade(database)
    node = Host("node-1", "127.0.0.1:1", "127.0.0.1", {"host": "node-1"})
    outside = SimpleNamespace(
        inventory=SimpleNamespace(hosts=lambda: {"node-1": node}, valid=True),
        controllers=ControllerClients(()),
    )
    services: Any = SimpleNamespace(
        tables=Tables.on(database, max_backlog=1),
        outside=outside,
        clock=Clock(),
        settings=Settings(InventorySettings(()), {}),
    )
    telemetry = Telemetry()
    families = [*telemetry.registry.collect(), *StateCollector(services).collect()]
    names = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in families
        if family.name.startswith("memleash_")
    }
    database.close()
    return names


def test_the_metrics_page_names_what_is_published_and_nothing_else(published: set[str]) -> None:
    named = set(re.findall(_NAME, (ROOT / "docs/metrics.md").read_text()))
    assert named == published


def test_the_rules_name_nothing_that_is_not_published(published: set[str]) -> None:
    lines = (ROOT / "rules/metrics.txt").read_text().splitlines()
    listed = {line for line in lines if line.startswith("memleash_responder_")}
    assert listed - published == set()
