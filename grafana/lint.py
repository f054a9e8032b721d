"""Grafana's dashboard-linter, its rules under its own names, for dashboards as decoded JSON.

    python -m grafana.lint      # the dashboards in this folder; exit 1 when it finds something

What a rule is not held to, and why, stands in dashboards/.lint, which the dashboard-linter reads
too. https://github.com/grafana/dashboard-linter/tree/main/docs tells what each rule is for. The
PromQL itself is not parsed here: a real Prometheus runs every query in the tests.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rules.lint import metrics_of

FOLDER = Path(__file__).parent / "dashboards"
EXCLUSIONS = FOLDER / ".lint"

Json = Any
Rule = Callable[[Json], Iterator["Complaint"]]

_UNITS = {"short", "percentunit", "bytes", "binBps", "s", "reqps", "dateTimeFromNow"}
"""Those used here, of the linter's long list."""
_DATASOURCES = {"$datasource", "${datasource}"}
_SELECTOR = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)\{(?P<matchers>[^}]*)\}")
_RANGE = re.compile(r"\b(?P<function>\w+)\(\s*[\w:]+\{[^}]*\}\[(?P<range>[^]]+)\]")
_ANY_RANGE = re.compile(r"\[(?P<range>[^]]+)\]")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, and where: a panel's title and a target's number where it has one."""

    what: str
    panel: str = ""
    target: int | None = None


def lint(dashboard: Json, exclusions: Mapping[str, Json]) -> list[str]:
    """Return every complaint that is not excluded; none when all is well."""
    found = []
    for name, rule in RULES.items():
        for complaint in rule(dashboard):
            if not _is_excluded(exclusions.get(name), dashboard["title"], complaint):
                where = f"{complaint.panel}[{complaint.target}]" if complaint.panel else "page"
                found.append(f"{name}: {dashboard['title']}: {where}: {complaint.what}")
    return found


def _is_excluded(entries: Json, title: str, complaint: Complaint) -> bool:
    if entries is None:
        return False
    return not entries.get("entries") or any(
        entry["dashboard"] == title and entry["panel"] == complaint.panel
        for entry in entries["entries"]
    )


def read_exclusions(file: Path = EXCLUSIONS) -> dict[str, Json]:
    """Return what ``file`` excludes, by rule."""
    exclusions: dict[str, Json] = yaml.safe_load(file.read_text(encoding="utf-8"))["exclusions"]
    return exclusions


def panels(dashboard: Json) -> list[Json]:
    """Return the panels proper, without the rows that head them."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def variables(dashboard: Json) -> dict[str, Json]:
    return {each["name"]: each for each in dashboard["templating"]["list"]}


def _targets(dashboard: Json) -> Iterator[tuple[Json, int, str]]:
    for panel in panels(dashboard):
        for number, target in enumerate(panel["targets"]):
            yield panel, number, target["expr"]


# ---- the page -----------------------------------------------------------------------------


def _template_datasource(dashboard: Json) -> Iterator[Complaint]:
    variable = variables(dashboard).get("datasource", {})
    if (variable.get("type"), variable.get("label")) != ("datasource", "Data source"):
        yield Complaint("wants a variable datasource, labelled Data source")


def _template(name: str) -> Rule:
    def rule(dashboard: Json) -> Iterator[Complaint]:
        variable = variables(dashboard).get(name)
        if variable is None:
            yield Complaint(f"has no variable {name}")
            return
        wanted = {"type": "query", "label": name.title(), "multi": True, "allValue": ".+"}
        for key, value in wanted.items():
            if variable.get(key) != value:
                yield Complaint(f"variable {name}: {key} must be {value}")
        if variable["datasource"]["uid"] not in _DATASOURCES:
            yield Complaint(f"variable {name} must ask $datasource")

    return rule


def _template_on_time_change(dashboard: Json) -> Iterator[Complaint]:
    for name, variable in variables(dashboard).items():
        if variable["type"] == "query" and variable.get("refresh") != 2:
            yield Complaint(f"variable {name} must be asked again when the time range changes")


def _uneditable(dashboard: Json) -> Iterator[Complaint]:
    if dashboard["editable"]:
        yield Complaint("must not be editable: it is provisioned")


# ---- panels -------------------------------------------------------------------------------


def _panel_datasource(dashboard: Json) -> Iterator[Complaint]:
    for panel in panels(dashboard):
        if panel.get("datasource", {}).get("uid") not in _DATASOURCES:
            yield Complaint("must ask $datasource", panel["title"])


def _panel_title_description(dashboard: Json) -> Iterator[Complaint]:
    for panel in panels(dashboard):
        if not panel.get("title") or not panel.get("description"):
            yield Complaint("wants a title and a description", panel.get("title", ""))


def _panel_units(dashboard: Json) -> Iterator[Complaint]:
    for panel in panels(dashboard):
        units = [panel["fieldConfig"]["defaults"].get("unit")]
        for override in panel["fieldConfig"]["overrides"]:
            units += [each["value"] for each in override["properties"] if each["id"] == "unit"]
        for unit in set(units) - _UNITS:
            yield Complaint(f"unit {unit} is not one of Grafana's", panel["title"])


def _panel_no_targets(dashboard: Json) -> Iterator[Complaint]:
    for panel in panels(dashboard):
        if not panel.get("targets"):
            yield Complaint("has no query", panel["title"])


# ---- queries ------------------------------------------------------------------------------


def _target_matcher(label: str) -> Rule:
    def rule(dashboard: Json) -> Iterator[Complaint]:
        for panel, number, expr in _targets(dashboard):
            selectors = list(_SELECTOR.finditer(expr))
            bare = metrics_of(expr) - {each["name"] for each in selectors}
            for metric in sorted(bare):
                yield Complaint(f"{metric} is not narrowed at all", panel["title"], number)
            for each in selectors:
                if f'{label}=~"${label}"' not in each["matchers"]:
                    what = f"{each['name']} is not narrowed to the chosen {label}"
                    yield Complaint(what, panel["title"], number)

    return rule


def _target_rate_interval(dashboard: Json) -> Iterator[Complaint]:
    for panel, number, expr in _targets(dashboard):
        for each in _ANY_RANGE.finditer(expr):
            if each["range"] != "$__rate_interval":
                what = f"[{each['range']}] must be [$__rate_interval]"
                yield Complaint(what, panel["title"], number)


def _target_counter_agg(dashboard: Json) -> Iterator[Complaint]:
    for panel, number, expr in _targets(dashboard):
        ranged = {each["function"] for each in _RANGE.finditer(expr) if "_total{" in each.group(0)}
        counters = [each["name"] for each in _SELECTOR.finditer(expr)]
        if any(name.endswith("_total") for name in counters) and (
            not ranged or ranged - {"rate", "irate", "increase"}
        ):
            yield Complaint("a counter wants rate, irate or increase", panel["title"], number)


RULES: Mapping[str, Rule] = {
    "template-datasource-rule": _template_datasource,
    "template-job-rule": _template("job"),
    "template-instance-rule": _template("instance"),
    "template-on-time-change-reload-rule": _template_on_time_change,
    "panel-datasource-rule": _panel_datasource,
    "panel-title-description-rule": _panel_title_description,
    "panel-units-rule": _panel_units,
    "panel-no-targets-rule": _panel_no_targets,
    "target-rate-interval-rule": _target_rate_interval,
    "target-job-rule": _target_matcher("job"),
    "target-instance-rule": _target_matcher("instance"),
    "target-counter-agg-rule": _target_counter_agg,
    "uneditable-dashboard": _uneditable,
}


def main() -> int:
    exclusions = read_exclusions()
    complaints = [
        complaint
        for file in sorted(FOLDER.glob("*.json"))
        for complaint in lint(json.loads(file.read_text(encoding="utf-8")), exclusions)
    ]
    for complaint in complaints:
        sys.stderr.write(f"{complaint}\n")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
