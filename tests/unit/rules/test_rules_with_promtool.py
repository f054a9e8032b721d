"""The rules and the scrape jobs, as promtool of both ages sees them."""

import functools
import re
import shutil
from pathlib import Path

import pytest
import yaml

from rules.lint import RULES, metrics_of, read_rules
from tests.unit.rules.conftest import Run

RULE_FILES = sorted(RULES.glob("*.rules.yml"))
TEST_FILES = sorted((RULES / "tests").glob("*.test.yml"))

CASE = re.compile("^(?=  - name: )", re.MULTILINE)
"""Where a case begins; what stands before the first is the same for all."""

BREAKAGES = yaml.safe_load((Path(__file__).parent / "breakages.yml").read_text())


def test_promtool_accepts_the_rules(promtool: Run) -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", *RULE_FILES)
    assert done.returncode == 0, done.stderr


def test_promtool_accepts_the_scrape_jobs_together_with_the_rules(promtool: Run) -> None:
    done = promtool("check", "config", RULES / "prometheus.yml")
    assert done.returncode == 0, done.stderr
    assert f"{len(RULE_FILES)} rule files found" in done.stdout


def test_the_rules_do_what_their_tests_say(promtool: Run) -> None:
    done = promtool("test", "rules", *TEST_FILES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage["so that"])
def test_a_broken_rule_is_noticed_by_the_case_about_it(
    tmp_path: Path, stable_promtool: Run, breakage: dict[str, str]
) -> None:
    copy = copy_of_rules(tmp_path)
    rules = copy / f"{breakage['file']}.rules.yml"
    before = rules.read_text()
    assert breakage["there"] in before, "it breaks nothing any more: adapt it to the rules"
    rules.write_text(before.replace(breakage["there"], breakage["instead"]))
    assert stable_promtool("check", "rules", rules).returncode == 0, "broken beyond being a rule"
    assert fails(stable_promtool, copy / "tests", breakage["noticed by"])


@pytest.mark.parametrize("case", sorted({breakage["noticed by"] for breakage in BREAKAGES}))
def test_the_case_passes_by_itself_while_nothing_is_broken(
    tmp_path: Path, stable_promtool: Run, case: str
) -> None:
    assert not fails(stable_promtool, copy_of_rules(tmp_path) / "tests", case)


def copy_of_rules(folder: Path) -> Path:
    """Return a copy of the rules, with their tests, in ``folder``."""
    copy = folder / "rules"
    shutil.copytree(RULES, copy, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return copy


@functools.cache
def cases() -> dict[str, str]:
    """Return every case by its name, each as a file by itself."""
    return {
        yaml.safe_load(case)[0]["name"]: head + case
        for head, *parts in (CASE.split(file.read_text()) for file in TEST_FILES)
        for case in parts
    }


def fails(promtool: Run, folder: Path, case: str) -> bool:
    """Return whether ``case`` fails beside the rules of ``folder``; nothing else may go wrong."""
    file = folder / "case.yml"
    file.write_text(cases()[case])
    done = promtool("test", "rules", file)
    assert done.returncode == 0 or "FAILED" in done.stdout + done.stderr
    return done.returncode != 0


def test_groups_read_of_each_other_only_what_may_be_one_evaluation_old() -> None:
    recorded_by = {
        rule.name: rule.file for rule in read_rules(RULE_FILES) if not rule.is_alert
    }  # a file is a group
    read = {
        (rule.name, series)
        for rule in read_rules(RULE_FILES)
        for series in metrics_of(rule.expr)
        if recorded_by.get(series, rule.file) != rule.file
    }
    assert read == {
        ("AgentNotReady", "memleash:agent_busy"),
        ("AgentRestartBlocked", "memleash:agent_limited_memory_bytes"),
        ("AgentRestartBlocked", "memleash:agent_memory_hard_limit_bytes"),
    }


def test_every_alert_is_tested_silent_and_firing() -> None:
    silent: set[str] = set()
    firing: set[str] = set()
    for file in TEST_FILES:
        for case in yaml.safe_load(file.read_text())["tests"]:
            for check in case.get("alert_rule_test", []):
                (firing if check.get("exp_alerts") else silent).add(check["alertname"])
    alerts = {rule.name for rule in read_rules(RULE_FILES) if rule.is_alert}
    assert silent == alerts
    assert firing == alerts
