"""From what an exporter tells to who is notified, with real Prometheus and Alertmanager."""

import time

import pytest

from demo.stack.http import get, post
from demo.stack.processes import wait_until
from rules.lint import RULES, read_rules
from tests.integration.rules.conftest import MEMORY_GROUP_INTERVAL_SECONDS, Stack

pytestmark = pytest.mark.integration

GIB = 1024**3


def test_every_rule_is_evaluated_without_an_error(stack: Stack) -> None:
    stack.fleet.tell("healthy", resident_memory_bytes=GIB)
    stack.watch("healthy")
    wait_until(
        "the host's memory",
        lambda: stack.value('memleash:agent_limited_memory_bytes{host="healthy"}'),
    )
    groups = get(f"{stack.prometheus}/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == len(read_rules(sorted(RULES.glob("*.rules.yml"))))
    assert {(rule["health"], rule.get("lastError", "")) for rule in rules} == {("ok", "")}


def test_the_hard_limit_is_told_to_the_responder_at_once_and_to_people(stack: Stack) -> None:
    stack.fleet.tell("over", resident_memory_bytes=10 * GIB + 1)
    stack.watch("over")
    name = "AgentMemoryHardLimitExceeded"
    wait_until("the responder's webhook", lambda: stack.fleet.told("responder", name, host="over"))
    wait_until("the people's webhook", lambda: stack.fleet.told("people", name, host="over"))
    alert = stack.fleet.told("responder", name, host="over")[0]
    assert alert["labels"] == {
        "alertname": name,
        "component": "memleash",
        "host": "over",
        "agent": "a1",
        "life": "1700000000.5",
        "severity": "critical",
        "remediation": "restart",
    }
    stack.fleet.tell("over", resident_memory_bytes=10 * GIB)
    wait_until(
        "the end, at the responder",
        lambda: stack.fleet.told("responder", name, "resolved", host="over"),
    )


def test_a_failed_scrape_neither_resets_nor_fires(stack: Stack) -> None:
    over = "AgentMemoryHardLimitExceeded"
    limits = {"memory_hard_limit_bytes": 99 * GIB, "memory_alarm_threshold_bytes": 99 * GIB}
    stack.fleet.tell("missing", resident_memory_bytes=11 * GIB)
    stack.fleet.tell("own-limits", resident_memory_bytes=11 * GIB, **limits)
    stack.watch("missing", "own-limits")
    wait_until("the alert", lambda: stack.firing(over, host="missing"))
    wait_until("the other host", lambda: stack.query('memleash_agent_up{host="own-limits"}'))
    began = stack.alerts(over, host="missing")[0]["activeAt"]
    stack.fleet.failing_once |= {"/hosts/missing/metrics", "/hosts/own-limits/metrics"}
    wait_until("two failed scrapes", lambda: not stack.fleet.failing_once)
    stack.evaluations('min_over_time(up{host="missing"}[30s]) == 0', count=4)
    assert (
        stack.value(
            'count_over_time(ALERTS{alertname="AgentMemoryHardLimitExceeded",host="own-limits"}[1m])'
        )
        is None
    )
    assert stack.alerts(over, host="missing")[0]["activeAt"] == began
    assert not stack.fleet.told("responder", over, "resolved", host="missing")


def test_a_restart_of_prometheus_forgets_nothing_of_an_agent_that_is_not_reported(
    stack: Stack,
) -> None:
    stack.fleet.tell("unseen", resident_memory_bytes=11 * GIB, busy=1)
    stack.watch("unseen")
    wait_until("busy", lambda: stack.firing("AgentBusy", host="unseen"))
    wait_until("over", lambda: stack.firing("AgentMemoryHardLimitExceeded", host="unseen"))
    del stack.fleet.pages["/hosts/unseen/metrics"]
    wait_until("failed scrapes", lambda: stack.query('up{host="unseen"} == 0'))
    stack.restart_prometheus()
    restarted_at = time.time()
    for series in (
        'ALERTS{alertname="AgentMemoryHardLimitExceeded", host="unseen", life="1700000000.5"}',
        'ALERTS{alertname="AgentBusy", host="unseen"}',
    ):
        fresh = f"timestamp({series}) > {restarted_at} unless on (host) memleash_agent_up"
        stack.evaluations(fresh, count=2)


def test_the_same_life_pages_people_once_in_the_interval_and_a_new_life_at_once(
    stack: Stack,
) -> None:
    stack.watch("flapping")
    name = "AgentMemoryAboveThreshold"
    first = time.monotonic()
    for _ in range(2):
        stack.fleet.tell("flapping", resident_memory_bytes=3 * GIB)
        wait_until("above", lambda: stack.firing(name, host="flapping"))
        wait_until("a page", lambda: stack.fleet.told("people", name, host="flapping"))
        stack.fleet.tell("flapping", resident_memory_bytes=GIB)
        wait_until("below", lambda: not stack.firing(name, host="flapping"))
    stack.fleet.tell("flapping", resident_memory_bytes=3 * GIB, start_time_seconds=1700000009)
    wait_until(
        "the new life's page",
        lambda: stack.fleet.told("people", name, host="flapping", life="1700000009"),
    )
    intervals = (
        time.monotonic() - first
    ) // MEMORY_GROUP_INTERVAL_SECONDS  # 0, but for a slow machine
    told = stack.fleet.told("people", name, host="flapping", life="1700000000.5")
    assert 1 <= len(told) <= 1 + intervals


def test_a_standing_alert_is_told_to_the_responder_again(stack: Stack) -> None:
    stack.fleet.tell("standing", resident_memory_bytes=11 * GIB)
    stack.watch("standing")
    name = "AgentMemoryHardLimitExceeded"
    wait_until("a repeat", lambda: len(stack.fleet.told("responder", name, host="standing")) > 1)
    starts = {alert["startsAt"] for alert in stack.fleet.told("responder", name, host="standing")}
    assert len(starts) == 1


def test_busy_is_told_to_the_responder_and_never_to_people(stack: Stack) -> None:
    stack.fleet.tell("working", resident_memory_bytes=GIB, busy=1)
    stack.watch("working")
    wait_until("busy", lambda: stack.fleet.told("responder", "AgentBusy", host="working"))
    stack.fleet.tell("working", resident_memory_bytes=GIB, busy=0)
    wait_until(
        "idle", lambda: stack.fleet.told("responder", "AgentBusy", "resolved", host="working")
    )
    assert not stack.fleet.told("people", "AgentBusy")
    assert not stack.fleet.told("people", "AgentBusy", "resolved")


def test_busy_holds_back_the_ping_of_the_same_host_and_of_no_other(stack: Stack) -> None:
    def alert(name: str, **labels: str) -> dict[str, object]:
        return {"labels": {"alertname": name, "component": "memleash", **labels}}

    busy = alert("AgentBusy", host="inhibited", agent="a1", severity="none", remediation="mute")
    nowhere = alert("AgentBusy", severity="none", remediation="mute")
    pings = [
        alert("HostPingFailed", severity="critical", **labels)
        for labels in ({"host": "inhibited"}, {"host": "not-inhibited"}, {"zone": "hostless"})
    ]
    api = f"{stack.alertmanager}/api/v2/alerts"
    post(api, [busy, nowhere])
    wait_until("busy", lambda: stack.fleet.told("responder", "AgentBusy", host="inhibited"))
    post(api, pings)
    failed = ("people", "HostPingFailed")
    wait_until("a page", lambda: stack.fleet.told(*failed, host="not-inhibited"))
    wait_until("a page", lambda: stack.fleet.told(*failed, zone="hostless"))
    states = {
        entry["labels"].get("host", "hostless"): entry["status"]["state"]
        for entry in get(f"{api}?filter=alertname=HostPingFailed")
    }
    assert states["inhibited"] == "suppressed"
    assert not stack.fleet.told("people", "HostPingFailed", host="inhibited")
