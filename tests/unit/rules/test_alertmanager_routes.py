"""Who hears of what: the routes and the receivers, as amtool of both ages sees them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rules.lint import RULES, Rule, read_rules
from tests.unit.rules.conftest import Run

CONFIG = RULES / "alertmanager.yml"
ALERTS = [rule for rule in read_rules(sorted(RULES.glob("*.rules.yml"))) if rule.is_alert]

OURS = "component=memleash"
TO_RESPONDER_AND_PEOPLE = {"AgentMemoryGrowing", "AgentMemoryHardLimitExceeded"}
TO_RESPONDER_ALONE = {"AgentBusy"}


def receivers_of(rule: Rule) -> str:
    if rule.name in TO_RESPONDER_ALONE:
        return "responder,nobody"
    return "responder,people" if rule.name in TO_RESPONDER_AND_PEOPLE else "people"


def load() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    return config


def subtree() -> dict[str, Any]:
    """Return the one route that all of ours is."""
    (ours,) = load()["route"]["routes"]
    assert ours["matchers"] == ['component="memleash"']
    result: dict[str, Any] = ours
    return result


def test_amtool_accepts_the_configuration(amtool: Run) -> None:
    done = amtool("check-config", CONFIG)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule.name)
def test_every_alert_reaches_those_that_it_is_for(amtool: Run, rule: Rule) -> None:
    labels = {"alertname": rule.name, "host": "h1", "agent": "a1"} | rule.labels
    done = amtool(
        *("config", "routes", "test", f"--config.file={CONFIG}"),
        f"--verify.receivers={receivers_of(rule)}",
        *(f"{name}={value}" for name, value in labels.items()),
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (["alertname=SomebodyElses", "severity=critical"], "people"),
        (["alertname=SomebodyElses", "severity=none"], "people"),
        (["alertname=SomebodyElses", "remediation=reboot"], "people"),
        ([OURS, "alertname=New", "severity=warning", "remediation=later"], "responder,people"),
        ([OURS, "alertname=New", "severity=warning", "remediation="], "people"),
    ],
)
def test_alerts_of_others_and_later_ones_of_ours_are_routed_sensibly(
    amtool: Run, labels: list[str], receivers: str
) -> None:
    done = amtool(
        *("config", "routes", "test", f"--config.file={CONFIG}"),
        f"--verify.receivers={receivers}",
        *labels,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_responder_hears_at_once_all_of_it_and_of_the_end() -> None:
    config = load()
    (route,) = [r for r in subtree()["routes"] if r.get("receiver") == "responder"]
    assert (route["group_wait"], route["group_by"], route["continue"]) == ("0s", ["..."], True)
    (receiver,) = [r for r in config["receivers"] if r["name"] == "responder"]
    (webhook,) = receiver["webhook_configs"]
    assert webhook["max_alerts"] == 0
    assert webhook["send_resolved"] is True


def test_there_is_an_example_of_each_way_to_tell_people() -> None:
    kinds = {r["name"]: set(r) - {"name"} for r in load()["receivers"]}
    assert kinds["people"] == {"webhook_configs"}
    assert kinds["people-email"] == {"email_configs"}
    assert kinds["people-chat"] == {"slack_configs"}
    assert kinds["nobody"] == set()


def test_people_are_told_of_memory_at_most_every_half_hour_and_anew_of_a_new_life() -> None:
    top = subtree()
    (memory,) = [r for r in top["routes"] if r.get("matchers") == ['alertname=~"AgentMemory.+"']]
    assert "receiver" not in memory  # the one named on top
    assert memory["group_interval"] == "31m"
    assert top["repeat_interval"] == "30m"
    assert set(top["group_by"]) == {"alertname", "host", "agent", "life"}


KUBE_PROMETHEUS = """
route:
  group_by: [namespace]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 12h
  receiver: Default
  routes:
    - {matchers: ['alertname="Watchdog"'], receiver: Watchdog}
    - {matchers: ['alertname="InfoInhibitor"'], receiver: "null"}
    - {matchers: ['severity="critical"'], receiver: Critical}
receivers: [{name: Default}, {name: Watchdog}, {name: Critical}, {name: "null"}]
"""
TEAMS = """
route:
  receiver: ops
  routes:
    - {matchers: ['team="storage"'], receiver: storage, continue: true}
    - matchers: ['team=~"storage|compute"']
      receiver: chat
      routes: [{matchers: ['severity="critical"'], receiver: pager}]
receivers: [{name: ops}, {name: storage}, {name: chat}, {name: pager}]
"""
DEFAULTS_THAT_BITE = """
route:
  receiver: hole
  group_by: ["..."]
  repeat_interval: 365d
  routes:
    - {matchers: ['severity="none"'], receiver: heartbeat}
    - {matchers: ['remediation=~".+"'], receiver: robot, continue: true}
    - {matchers: ['severity=~".+"'], receiver: everything}
receivers: [{name: hole}, {name: heartbeat}, {name: robot}, {name: everything}]
"""


@pytest.mark.parametrize(
    ("tree", "foreign"),
    [
        (
            KUBE_PROMETHEUS,
            {"alertname=Watchdog severity=none": "Watchdog", "severity=critical": "Critical"},
        ),
        (TEAMS, {"team=storage severity=critical": "storage,pager", "severity=none": "ops"}),
        (
            DEFAULTS_THAT_BITE,
            {"severity=none": "heartbeat", "severity=page remediation=x": "robot,everything"},
        ),
    ],
    ids=["kube-prometheus", "teams", "defaults that bite"],
)
def test_our_route_put_first_takes_ours_and_nothing_else(
    amtool: Run, tmp_path: Path, tree: str, foreign: dict[str, str]
) -> None:
    config = yaml.safe_load(tree)
    config["route"]["routes"].insert(0, subtree())
    names = [one["name"] for one in config["receivers"]]
    config["receivers"] += [{"name": one["name"]} for one in load()["receivers"]]
    assert len(names) + len(load()["receivers"]) == len(config["receivers"])
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    wanted = foreign | {
        " ".join(
            f"{name}={value}" for name, value in ({"alertname": rule.name} | rule.labels).items()
        ): (receivers_of(rule))
        for rule in ALERTS
    }
    for labels, receivers in wanted.items():
        done = amtool(
            *("config", "routes", "test", f"--config.file={file}"),
            f"--verify.receivers={receivers}",
            *labels.split(),
        )
        assert done.returncode == 0, (labels, done.stdout + done.stderr)
    for name in ("group_by", "group_wait", "group_interval", "repeat_interval", "receiver"):
        assert name in subtree(), "nothing is left to the defaults of the tree it stands in"
