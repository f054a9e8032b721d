"""The checked-in dashboards: what the code says, what the linter wants, and where they lead."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana import __main__ as generator
from grafana import fleet, lint
from rules.lint import RULES, RUNBOOKS, anchors, read_rules

Json = Any
FILES = sorted(lint.FOLDER.glob("*.json"))
DASHBOARDS = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in FILES}


@pytest.fixture
def page() -> Json:
    """A dashboard of one's own, free to be broken."""
    return copy.deepcopy(DASHBOARDS["memleash-fleet"])


def test_the_checked_in_files_are_what_the_code_says() -> None:
    assert generator.stale(lint.FOLDER) == []


def test_a_file_edited_by_hand_is_noticed(tmp_path: Path) -> None:
    for name, text in generator.rendered().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert generator.stale(tmp_path) == []

    (tmp_path / "memleash-agent.json").write_text("{}", encoding="utf-8")
    (tmp_path / "memleash-fleet.json").unlink()
    (tmp_path / "someone-elses.json").write_text("{}", encoding="utf-8")
    assert generator.stale(tmp_path) == [
        "someone-elses.json",
        "memleash-fleet.json",
        "memleash-agent.json",
    ]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_dashboard_linters_rules_hold(name: str) -> None:
    assert lint.lint(DASHBOARDS[name], lint.read_exclusions()) == []


def test_nothing_is_excluded_that_need_not_be() -> None:
    exclusions = lint.read_exclusions()
    used = {
        (rule, complaint.split(": ")[1], complaint.split(": ")[2].rpartition("[")[0])
        for dashboard in DASHBOARDS.values()
        for complaint in lint.lint(dashboard, {})
        for rule in [complaint.split(": ")[0]]
    }
    assert {rule for rule, *_ in used} == exclusions.keys()
    for entry in exclusions["target-job-rule"]["entries"]:
        assert ("target-job-rule", entry["dashboard"], entry["panel"]) in used


def _panel(page: Json, title: str) -> Json:
    return next(panel for panel in page["panels"] if panel["title"] == title)


def _variable(page: Json, name: str) -> Json:
    return lint.variables(page)[name]


def _set(path: str, value: Json) -> Callable[[Json], None]:
    """Return what puts ``value`` at ``path`` (dots go deeper) of the panel Verdicts."""

    def break_it(page: Json) -> None:
        *folders, last = path.split(".")
        place = _panel(page, "Verdicts")
        for folder in folders:
            place = place[int(folder) if folder.isdigit() else folder]
        place[last] = value

    return break_it


@pytest.mark.parametrize(
    ("rule", "break_it"),
    [
        ("template-datasource-rule", lambda page: _variable(page, "datasource").update(name="ds")),
        ("template-job-rule", lambda page: _variable(page, "job").update(multi=False)),
        (
            "template-on-time-change-reload-rule",
            lambda page: _variable(page, "host").update(refresh=1),
        ),
        ("uneditable-dashboard", lambda page: page.update(editable=True)),
        ("panel-datasource-rule", _set("datasource", {"uid": "prometheus"})),
        ("panel-title-description-rule", _set("description", "")),
        ("panel-units-rule", _set("fieldConfig.defaults.unit", "apples")),
        ("panel-no-targets-rule", _set("targets", [])),
        ("target-rate-interval-rule", _set("targets.0.expr", 'rate(a_total{job=~"$job"}[5m])')),
        ("target-job-rule", _set("targets.0.expr", "memleash_agent_up")),
        ("target-job-rule", _set("targets.0.expr", 'memleash_agent_up{job="x"}')),
        ("target-counter-agg-rule", _set("targets.0.expr", 'a_total{job=~"$job"}')),
        (
            "target-counter-agg-rule",
            _set("targets.0.expr", 'deriv(a_total{job=~"$job"}[$__rate_interval])'),
        ),
    ],
)
def test_each_rule_notices_what_it_is_for(
    page: Json, rule: str, break_it: Callable[[Json], None]
) -> None:
    break_it(page)
    complaints = lint.lint(page, lint.read_exclusions())
    assert [complaint for complaint in complaints if complaint.startswith(f"{rule}:")]


def test_each_alert_of_the_rules_has_a_link_to_its_runbook() -> None:
    rules = read_rules(sorted(RULES.glob("*.rules.yml")))
    alerts = {rule.name for rule in rules if rule.is_alert}
    assert set(fleet.ALERTS) == alerts

    known = anchors(RUNBOOKS.read_text(encoding="utf-8"))
    links = [
        link["url"]
        for dashboard in DASHBOARDS.values()
        for panel in lint.panels(dashboard)
        for link in panel.get("links", [])
    ]
    assert {link.partition("#")[2] for link in links} == {alert.lower() for alert in alerts}
    assert {link.partition("#")[2] for link in links} <= known


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_dashboard_leads_to_the_others_and_to_the_runbooks(name: str) -> None:
    dashboard = DASHBOARDS[name]
    assert dashboard["uid"] == name
    assert dashboard["tags"] == ["memleash"]
    pages, runbooks = dashboard["links"]
    assert (pages["type"], pages["tags"], pages["keepTime"]) == ("dashboards", ["memleash"], True)
    assert runbooks["url"].endswith(RUNBOOKS.name)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_stand_in_rows_and_none_lies_on_another(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    assert panels[0]["type"] == "row"
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                other = taken.setdefault((x, y), panel["title"])
                assert other == panel["title"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))


def test_provisioning_loads_the_dashboards_folder() -> None:
    provisioning = lint.FOLDER.parent / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    (provider,) = yaml.safe_load((provisioning / "dashboards/memleash.yml").read_text())[
        "providers"
    ]
    assert provider["type"] == "file"
    assert not provider["allowUiUpdates"]
