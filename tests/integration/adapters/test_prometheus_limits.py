"""What a real Prometheus, old and new, answers for the hard limit and for alerts that fire."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.stack.processes import wait_until
from memleash_responder.adapters.prometheus import PrometheusClient
from memleash_responder.core.matchers import parse_matcher
from memleash_responder.errors import FactsUnavailable
from memleash_responder.settings import Prometheus
from tests.contract.adapters.peer import Asked, Peer, Reply
from tests.integration.adapters import neighbours

pytestmark = pytest.mark.integration
RULES = Path(__file__).parents[3] / "rules" / "memory.rules.yml"
GIB = 1024**3
ODD_HOST = 'h"} or vector(1) #\\'
AGENT = (
    'memleash_agent_up{{agent="{0}"}} 1\nmemleash_agent_resident_memory_bytes{{agent="{0}"}} 5\n'
)
EXPORTER = (
    "".join(AGENT.format(name) for name in ("plain", "own", "off"))
    + f'memleash_agent_memory_hard_limit_bytes{{agent="own"}} {3 * GIB}\n'
    + 'memleash_agent_memory_hard_limit_bytes{agent="off"} 0\n'
)


def recorded(_: Asked) -> Reply:
    """Series as the rule records them, but old, or of two minds."""
    name = "memleash:agent_memory_hard_limit_bytes"
    old_ms = int((time.time() - 200) * 1000)
    lines = [
        f'{name}{{host="h",agent="old"}} 7 {old_ms}',
        f'{name}{{host="h",agent="torn",replica="a"}} 7',
        f'{name}{{host="h",agent="torn",replica="b"}} 8',
        f'{name}{{host="h",agent="alone",replica="a"}} 7',
        f'{name}{{host="h",agent="nan"}} NaN',
    ]
    return Reply(200, "\n".join([*lines, ""]).encode(), {"Content-Type": "text/plain"})


@pytest.fixture
def ask(stack: contextlib.ExitStack, tmp_path: Path, age: str) -> Callable[..., int]:
    """Ask for a limit, once Prometheus has scraped and evaluated."""
    exporter, odd = (stack.enter_context(Peer().running()) for _ in range(2))
    exporter.answer = lambda _: Reply(200, EXPORTER.encode(), {"Content-Type": "text/plain"})
    odd.answer = recorded
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            job("memleash", exporter, host=ODD_HOST),
            {**job("recorded", odd), "honor_labels": True},
        ],
    }
    url = neighbours.prometheus(stack, tmp_path / "prometheus", age, json.dumps(config))

    def limit(host: str, agent: str, max_sample_age: float = 60) -> int:
        client = PrometheusClient(Prometheus(url=url), max_sample_age_seconds=max_sample_age)
        return client.hard_limit_bytes(host, agent, time.time())

    def there() -> bool:
        with contextlib.suppress(FactsUnavailable):
            return limit("h", "alone") == 7 and limit(ODD_HOST, "plain") > 0
        return False

    wait_until("Prometheus scrapes and evaluates", there)
    return limit


ALERTS = [
    {"alert": "HostPingFailed", "expr": "vector(1)", "labels": {"host": ODD_HOST}},
    {"alert": "HostPingFailed", "expr": "vector(1)", "labels": {"host": "other"}},
    {"alert": "HostPingFailed", "expr": "vector(1)", "labels": {"agent": "of no host"}},
    {"alert": "HostPingFailed", "expr": "vector(1)", "for": "1h", "labels": {"host": "pending"}},
    {"alert": "DiskFull", "expr": "vector(1)", "labels": {"host": "full"}},
]


def test_the_hosts_whose_pings_fail_are_those_of_the_alert_that_fires(
    stack: contextlib.ExitStack, tmp_path: Path, age: str
) -> None:
    rules = tmp_path / "alerts.json"
    rules.write_text(json.dumps({"groups": [{"name": "pings", "rules": ALERTS}]}))
    config = {"global": {"evaluation_interval": "1s"}, "rule_files": [str(rules)]}
    url = neighbours.prometheus(stack, tmp_path / "prometheus", age, json.dumps(config))
    client = PrometheusClient(Prometheus(url=url))
    matchers = [parse_matcher('alertname=~"Host(Ping)+Failed"')]
    wait_until(
        "Prometheus evaluates",
        lambda: client.hosts_with_alerts(matchers, time.time()) == {ODD_HOST, "other"},
    )
    assert client.hosts_with_alerts(matchers, time.time(), host=ODD_HOST) == {ODD_HOST}
    for host in ("full", "pending", "unknown"):
        assert client.hosts_with_alerts(matchers, time.time(), host=host) == set()


def job(name: str, peer: Peer, **labels: str) -> dict[str, Any]:
    target = {"targets": [peer.url.removeprefix("http://")], "labels": labels}
    return {"job_name": name, "static_configs": [target]}


def test_the_rules_limit_is_read_and_every_doubt_refused(ask: Callable[..., int]) -> None:
    assert ask(ODD_HOST, "plain") == 10 * GIB
    assert ask(ODD_HOST, "own") == 3 * GIB
    assert ask(ODD_HOST, "off") == 0
    assert ask("h", "alone") == 7
    assert ask("h", "old", max_sample_age=250) == 7
    for agent, why in {
        "old": r"is 2\d\d s old, at most 60 s are believed",
        "torn": "has several series: 7, 8",
        "nan": "is 'NaN', which is no limit",
        "unknown": "has no sample; are memleash's rules loaded",
    }.items():
        with pytest.raises(FactsUnavailable, match=why):
            ask("h", agent)
