"""Every query of the dashboards, asked of a real Prometheus that watched a demo stack."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from demo.stack.http import CallFailed, call, get
from demo.stack.observer import Observer
from demo.stack.processes import wait_until
from demo.stack.stack import Stack, prepared
from demo.stack.tools import find
from grafana.__main__ import FOLDER
from rules.lint import RULES, metrics_of, read_rules

pytestmark = pytest.mark.integration
Json = Any

DASHBOARDS = [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))]
_LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), (?P<label>\w+)\)")


@dataclass(frozen=True, slots=True)
class Watched:
    """A stack to which everything happened that a dashboard shows, from ``began`` to ``ended``."""

    stack: Stack
    began: float
    ended: float

    def choices(self) -> dict[str, str]:
        """Return what Grafana puts in place of the variables: all jobs, this host and agent."""
        site = self.stack.layout
        return {
            "job": ".+",
            "host": site.host,
            "agent": site.agent,
            "__rate_interval": "5s",
        }

    def interpolated(self, expr: str) -> str:
        for name, value in self.choices().items():
            expr = expr.replace(f"${name}", value)
        assert "$" not in expr, f"a variable that is not there: {expr}"
        return expr

    def ask(self, path: str, **parameters: object) -> Json:
        url = self.stack.layout.url("prometheus", f"/api/v1/{path}?{urlencode(parameters)}")
        return get(url)["data"]

    def series(self, expr: str) -> list[Json]:
        """Return what a graph over the whole time would show."""
        span = {"start": self.began, "end": self.ended, "step": 1}
        return list(self.ask("query_range", query=self.interpolated(expr), **span)["result"])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """One life of a demo stack: a refusal, a dump with its mute, a restart, a failure of its own.

    1. The agent passes its hard limit while a controller fails: the restart is blocked.
    2. It dumps: busy, the host's pings are muted.
    3. The controller is well again: the agent is restarted.
    4. Alertmanager is away for a moment: the responder's own work fails and is tried again.
    """
    began = time.time()
    with prepared(find("stable"), tmp_path_factory.mktemp("watched") / "stack") as stack:
        stack.start()
        observer = Observer(stack.layout)
        call("PUT", stack.layout.url("controller", "/faults"), {"drain": 500})
        stack.agent_does("grow", to_mib=150)
        stack.agent_does("grow", mib_per_second=5)
        soon = "count(memleash:agent_memory_seconds_to_hard_limit)"
        _until("a time to the limit", lambda: observer.query(soon))
        _until("the restart to be blocked", lambda: observer.restart_with("controller_unreachable"))
        stack.agent_does("grow", mib_per_second=0)
        stack.agent_does("dump", seconds=6)
        _until("the mute", observer.ping_silence)
        _until("the mute's end", lambda: not observer.silences())
        call("PUT", stack.layout.url("controller", "/faults"), {})
        _until("the restart", lambda: observer.restart_with("restarted"))
        stack.programs["alertmanager"].stop()
        _until("a failure", lambda: observer.query("max(memleash_responder_failures_total)"))
        _until("a few scrapes of it", lambda: _scrapes_of_failures(observer) >= 4)
        yield Watched(stack, began, time.time())


def _scrapes_of_failures(observer: Observer) -> float:
    failed = "(memleash_responder_failures_total > 0)"
    return observer.query(f"max(count_over_time({failed}[1m:1s]))") or 0


def _until(what: str, look: Any) -> None:
    def patient() -> object:
        try:
            return look()
        except CallFailed:
            return None

    wait_until(what, patient)


def _queries() -> list[tuple[str, str]]:
    """Return every query of every panel and annotation, each with where it stands."""
    return [
        (f"{dashboard['title']}: {panel['title']}[{target['refId']}]", target["expr"])
        for dashboard in DASHBOARDS
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ] + [
        (f"{dashboard['title']}: annotation {each['name']}", each["expr"])
        for dashboard in DASHBOARDS
        for each in dashboard["annotations"]["list"]
    ]


def test_every_query_of_every_panel_gives_data(watched: Watched) -> None:
    empty = [place for place, expr in _queries() if not watched.series(expr)]
    assert empty == []


def test_every_variable_offers_what_there_is(watched: Watched) -> None:
    site = watched.stack.layout
    expected = {
        "job": ["memleash-exporter", "memleash-responder"],
        "host": [site.host],
        "agent": [site.agent],
    }
    for dashboard in DASHBOARDS:
        queried = [each for each in dashboard["templating"]["list"] if each["type"] == "query"]
        for variable in queried:
            match = _LABEL_VALUES.fullmatch(variable["query"])
            assert match is not None, variable["query"]
            selector = watched.interpolated(match["series"])
            values = watched.ask(f"label/{match['label']}/values", **{"match[]": selector})
            assert values == expected[variable["name"]], dashboard["title"]


def test_every_metric_is_one_that_the_parts_really_expose(watched: Watched) -> None:
    exposed: set[str] = set()
    for part in ("exporter", "responder"):
        scrape = get(watched.stack.layout.url(part, "/metrics"))
        for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", scrape, re.MULTILINE):
            exposed.add(f"{name}_bucket" if kind == "histogram" else name)
    recorded = {
        rule.name for rule in read_rules(sorted(RULES.glob("*.rules.yml"))) if not rule.is_alert
    }
    shown = {name for _, expr in _queries() for name in metrics_of(expr)}
    assert shown <= exposed | recorded | {"ALERTS"}


def test_a_query_for_a_host_that_does_not_exist_gives_no_data(watched: Watched) -> None:
    """The other way round: the selection narrows what is shown."""
    for place, expr in _queries():
        if "$host" in expr and "vector(0)" not in expr:
            assert watched.series(expr.replace("$host", "nowhere")) == [], place
