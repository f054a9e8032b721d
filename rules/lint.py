"""Checks what promtool does not: that every alert can be understood, followed up and ever fire.

Reads rule files, the metric names that exist, and the page of runbooks; returns complaints. The
points are those of pint (required labels and annotations, constant summary, series that exist,
an alert that has a condition, duplicates) as far as they need no running Prometheus.

    python rules/lint.py            # the rules beside this file; exit 1 when it finds something
"""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parent
RUNBOOKS = RULES.parent / "docs" / "alerts.md"
METRICS = RULES / "metrics.txt"

COMPONENT = "memleash"
SEVERITIES = ("critical", "warning", "none")
REMEDIATIONS = ("restart", "diagnose", "mute")

_KEYWORDS = {"and", "or", "unless", "bool", "offset"}
_NOT_METRICS = (
    re.compile(r"#.*"),
    re.compile(r'"(?:[^"\\]|\\.)*"'),  # strings
    re.compile(r"\{[^}]*\}"),  # label matchers
    re.compile(r"\[[^]]*\]"),  # ranges
    re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"),
)
_NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")
_CONDITION = re.compile(r"[<>]|[=!]=|\babsent(?:_over_time)?\b")
_SERIES = re.compile(r"^[a-zA-Z_:][\w:]*", re.MULTILINE)
_ANCHOR = re.compile(r"#([^#\s]+)$")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as it stands in a file."""

    file: str
    name: str
    is_alert: bool
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]


def read_rules(files: Iterable[Path]) -> list[Rule]:
    """Returns the rules of all files, in order."""
    return [
        _rule(file.name, raw)
        for file in files
        for group in yaml.safe_load(file.read_text())["groups"]
        for raw in group["rules"]
    ]


def _rule(file: str, raw: dict[str, Any]) -> Rule:
    return Rule(
        file=file,
        name=raw.get("alert") or raw["record"],
        is_alert="alert" in raw,
        expr=raw["expr"],
        labels=raw.get("labels", {}),
        annotations=raw.get("annotations", {}),
    )


def series_names(exposition: str) -> set[str]:
    """Returns the names of the series in a scrape (or in a plain list of names)."""
    return set(_SERIES.findall(exposition))


def anchors(markdown: str) -> set[str]:
    """Returns the anchors that a page's headings have when it is rendered."""
    return {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in _HEADING.findall(markdown)}


def metrics_of(expr: str) -> set[str]:
    """Returns the names of the series that an expression selects."""
    for noise in _NOT_METRICS:
        expr = noise.sub(" ", expr)
    return set(_NAME.findall(expr)) - _KEYWORDS


def lint(rules: list[Rule], *, known: set[str], runbook_anchors: set[str]) -> list[str]:
    """Returns every complaint as `file: rule: what is wrong`; none when all is well."""
    recorded = {rule.name for rule in rules if not rule.is_alert}
    complaints = []
    seen: set[str] = set()
    for rule in rules:
        found = list(_any_rule(rule, known | recorded))
        if rule.is_alert:
            found += [*_alert(rule), *_runbook(rule, runbook_anchors)]
        if rule.name in seen:
            found.append("stands there twice")
        seen.add(rule.name)
        complaints += [f"{rule.file}: {rule.name}: {complaint}" for complaint in found]
    return complaints


def _any_rule(rule: Rule, known: set[str]) -> Iterator[str]:
    for metric in sorted(metrics_of(rule.expr) - known):
        yield f"no such metric: {metric}"
    if not rule.is_alert and not rule.name.startswith("memleash:"):
        yield "a recorded series is named memleash:<what>"


def _alert(rule: Rule) -> Iterator[str]:
    if rule.labels.get("severity") not in SEVERITIES:
        yield f"severity is {rule.labels.get('severity')}, not one of {', '.join(SEVERITIES)}"
    if rule.labels.get("remediation", REMEDIATIONS[0]) not in REMEDIATIONS:
        yield f"remediation is {rule.labels['remediation']}, not one of {', '.join(REMEDIATIONS)}"
    if not _CONDITION.search(rule.expr):
        yield "fires always: its expression has no condition"
    summary = rule.annotations.get("summary", "")
    if not summary or "{{" in summary:
        yield "summary must be there and constant"
    if not rule.annotations.get("description"):
        yield "description must be there"
    if rule.labels.get("component") != COMPONENT:
        yield f"component must be {COMPONENT}: fleets route by it"
    if "memleash_responder_links_info" not in rule.annotations.get("dashboard_url", ""):
        yield "dashboard_url must lead to the responder's page"


def _runbook(rule: Rule, runbook_anchors: set[str]) -> Iterator[str]:
    anchor = _ANCHOR.search(rule.annotations.get("runbook_url", ""))
    if anchor is None or anchor[1] not in runbook_anchors:
        yield f"runbook_url must end in the anchor of a heading of {RUNBOOKS.name}"


def main() -> int:
    complaints = lint(
        read_rules(sorted(RULES.glob("*.rules.yml"))),
        known=series_names(METRICS.read_text()),
        runbook_anchors=anchors(RUNBOOKS.read_text()),
    )
    for complaint in complaints:
        sys.stderr.write(f"{complaint}\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
