"""The linter of the rules: it finds nothing in ours, and something in each kind of mistake."""

from dataclasses import replace

import pytest

from memleash_responder.core.outcomes import FAILED, NEEDS_A_PERSON, Outcome
from rules.lint import (
    METRICS,
    RULES,
    RUNBOOKS,
    Rule,
    anchors,
    lint,
    metrics_of,
    read_rules,
    series_names,
)

ROOT = RULES.parent

OURS = {"component": "memleash"}
GOOD = Rule(
    file="x.rules.yml",
    name="AgentGone",
    is_alert=True,
    expr='max by (host) (up{job="a > b"}) == 0',
    labels=OURS | {"severity": "warning"},
    annotations={
        "summary": "An agent is gone.",
        "description": "{{ $labels.host }}: {{ $value }}",
        "runbook_url": "https://example.org/alerts.md#agentgone",
        "dashboard_url": "{{ with query `memleash_responder_links_info` }}...{{ end }}",
    },
)


def complaints(rule: Rule) -> list[str]:
    return lint([rule], known={"up"}, runbook_anchors={"agentgone"})


def test_our_own_rules_have_no_complaint() -> None:
    rules = read_rules(sorted(RULES.glob("*.rules.yml")))
    assert len(rules) > 20
    assert not lint(
        rules,
        known=series_names(METRICS.read_text()),
        runbook_anchors=anchors(RUNBOOKS.read_text()),
    )


def test_every_metric_of_the_exporter_that_rules_may_name_is_in_its_golden_scrape() -> None:
    golden = series_names((ROOT / "tests/contract/exporter/golden.txt").read_text())
    named = series_names(METRICS.read_text())
    ours = {name for name in named if name.startswith(("memleash_agent_", "memleash_exporter_"))}
    assert ours
    assert ours <= golden


def test_the_responder_and_the_rules_mean_the_same_by_failed_and_blocked() -> None:
    rules = {rule.name: rule for rule in read_rules(sorted(RULES.glob("*.rules.yml")))}
    newest = "|".join(["restarted", "command_failed", "not_ready", "reconnect_failed"])
    assert f'outcome=~"{newest}"' in rules["AgentRestartFailed"].expr
    assert set(newest.split("|")) == FAILED | {Outcome.RESTARTED}
    page = RUNBOOKS.read_text()
    assert [word for word in FAILED | NEEDS_A_PERSON if f"| `{word}` |" not in page] == []


def test_a_good_rule_has_no_complaint() -> None:
    assert complaints(GOOD) == []


def without(*keys: str) -> dict[str, str]:
    return {key: value for key, value in GOOD.annotations.items() if key not in keys}


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (replace(GOOD, labels=OURS), "severity is None"),
        (replace(GOOD, labels=OURS | {"severity": "page"}), "severity is page"),
        (
            replace(GOOD, labels=OURS | {"severity": "none", "remediation": "reboot"}),
            "remediation is reboot",
        ),
        (replace(GOOD, annotations=without("summary")), "summary must be there and constant"),
        (
            replace(GOOD, annotations=GOOD.annotations | {"summary": "{{ $labels.host }} is gone"}),
            "summary must be there and constant",
        ),
        (replace(GOOD, annotations=without("description")), "description must be there"),
        (replace(GOOD, labels={"severity": "warning"}), "component must be memleash"),
        (replace(GOOD, annotations=without("dashboard_url")), "dashboard_url must lead to"),
        (replace(GOOD, annotations=without("runbook_url")), "runbook_url must end in the anchor"),
        (
            replace(GOOD, annotations=GOOD.annotations | {"runbook_url": "https://x/a.md#other"}),
            "runbook_url must end in the anchor",
        ),
        (replace(GOOD, expr="up"), "fires always"),
        (replace(GOOD, expr="down == 0"), "no such metric: down"),
        (replace(GOOD, is_alert=False, name="agent:gone"), "a recorded series is named memleash:"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_kind_of_mistake_has_its_complaint(bad: Rule, complaint: str) -> None:
    found = complaints(bad)
    assert len(found) == 1
    assert found[0].startswith(f"x.rules.yml: {bad.name}: {complaint}")


def test_a_rule_that_stands_there_twice_is_complained_about() -> None:
    found = lint([GOOD, GOOD], known={"up"}, runbook_anchors={"agentgone"})
    assert found == ["x.rules.yml: AgentGone: stands there twice"]


@pytest.mark.parametrize(
    ("expr", "metrics"),
    [
        ("up == 0", {"up"}),
        ('sum by (host, agent) (rate(a_total{x=~"b|c"}[5m] offset 1h))', {"a_total"}),
        ("a:b > on (host) group_left (zone) (c or d unless e)", {"a:b", "c", "d", "e"}),
        ('label_replace(x, "reason", "y", "", "") # and z', {"x"}),
        ("10 * 1024 ^ 3 * group by (host) (m)", {"m"}),
        ("x > bool time() - 6 * 3600", {"x"}),
        ("x >= 1e3", {"x"}),
    ],
)
def test_the_metrics_of_an_expression_are_found(expr: str, metrics: set[str]) -> None:
    assert metrics_of(expr) == metrics


def test_series_names_are_read_from_a_scrape_and_from_a_list() -> None:
    scrape = '# HELP up x\n# TYPE up gauge\nup{host="h"} 1\na_total 3\n'
    assert series_names(scrape) == {"up", "a_total"}


def test_anchors_are_those_of_the_rendered_page() -> None:
    assert anchors("# Alerts\ntext\n## AgentGone\n### What to do, now?\n") == {
        "alerts",
        "agentgone",
        "what-to-do-now",
    }
