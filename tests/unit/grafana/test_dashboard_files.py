"""The checked-in dashboards: what the code says, how they look, and where they lead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana import __main__ as generator
from grafana import fleet
from rules.lint import RULES, RUNBOOKS, anchors, read_rules

Json = Any
FILES = sorted(generator.FOLDER.glob("*.json"))
DASHBOARDS = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in FILES}


def test_the_checked_in_files_are_what_the_code_says() -> None:
    assert generator.stale(generator.FOLDER) == []


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


def test_each_alert_of_the_rules_has_a_link_to_its_runbook() -> None:
    rules = read_rules(sorted(RULES.glob("*.rules.yml")))
    alerts = {rule.name for rule in rules if rule.is_alert}
    assert set(fleet.ALERTS) == alerts

    known = anchors(RUNBOOKS.read_text(encoding="utf-8"))
    links = [
        link["url"]
        for dashboard in DASHBOARDS.values()
        for panel in dashboard["panels"]
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
    provisioning = generator.FOLDER.parent / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    (provider,) = yaml.safe_load((provisioning / "dashboards/memleash.yml").read_text())[
        "providers"
    ]
    assert provider["type"] == "file"
    assert not provider["allowUiUpdates"]
