"""Which alerts fire, as a real Prometheus, old and new, answers for it."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from demo.stack.processes import wait_until
from memleash_responder.adapters.prometheus import PrometheusClient
from memleash_responder.errors import FactsUnavailable
from memleash_responder.settings import Prometheus
from tests.integration.adapters import neighbours

pytestmark = pytest.mark.integration

TWO = 'label_replace(vector(1), "instance", "a", "", "") or vector(1)'


def rule(alert: str, team: str, expr: str = "vector(1)", **more: str) -> dict[str, Any]:
    return {"alert": alert, "expr": expr, "labels": {"severity": "critical", "team": team}, **more}


RULES = [
    rule("StorageDown", "storage"),
    rule("StorageSlow", "storage", **{"for": "1h"}),
    rule("DiskFull", "web", TWO),
    rule("AgentMemoryHardLimitExceeded", "storage"),
]


@pytest.fixture
def client(stack: contextlib.ExitStack, tmp_path: Path, age: str) -> PrometheusClient:
    """Prometheus's client, once every rule was evaluated."""
    rules = tmp_path / "rules.yml"
    group = {"name": "others", "interval": "1s", "rules": RULES}
    rules.write_text(json.dumps({"groups": [group]}), encoding="utf-8")
    config = json.dumps({"rule_files": [str(rules)]})
    url = neighbours.prometheus(stack, tmp_path / "prometheus", age, config)
    client = PrometheusClient(Prometheus(url=url))
    wait_until("all alerts", lambda: client.by_agent("count(ALERTS) == 5") == {("", ""): 5.0})
    return client


def test_what_fires_blocks_and_neither_what_pends_nor_memleashs_own_alerts(
    client: PrometheusClient,
) -> None:
    def firing(*selectors: str) -> tuple[str, ...]:
        return client.firing(selectors, time.time())

    assert firing('severity="critical",team="storage"') == ("StorageDown",)
    assert firing('team="storage"', 'alertname=~"Disk.*"') == ("DiskFull x2", "StorageDown")
    assert firing('team="storage"', 'severity="critical"') == ("DiskFull x2", "StorageDown")
    assert firing('severity="critical",team!~"storage|web"') == ()
    with pytest.raises(FactsUnavailable, match="400"):
        firing('team=~"(?=x)"')
