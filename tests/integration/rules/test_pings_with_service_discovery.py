"""Pings: the scrape job, the list of targets, the modules, and HostPingFailed over them."""

import json
import os
from pathlib import Path

import pytest

from demo.stack.http import get
from demo.stack.processes import wait_until
from tests.integration.rules.conftest import Stack

pytestmark = pytest.mark.integration

FAILED = "HostPingFailed"


def test_a_host_is_pinged_at_its_address_without_a_port(stack: Stack) -> None:
    pinged_at = {
        "10.9.8.7:10058": "10.9.8.7",
        "10.9.8.6": "10.9.8.6",
        "[fd00::7]:10058": "fd00::7",
        "fd00::6": "fd00::6",
        "n.example:10058": "n.example",
    }
    stack.fleet.list_targets({"addresses": list(pinged_at)})

    def pinged() -> dict[str, str]:
        targets = get(f"{stack.prometheus}/api/v1/targets?state=active")["data"]["activeTargets"]
        return {
            target["discoveredLabels"]["__address__"]: target["labels"]["instance"]
            for target in targets
            if target["labels"].get("host") == "addresses"
        }

    wait_until("the targets", lambda: pinged() == pinged_at)
    wait_until(
        "a ping of each",
        lambda: all(stack.fleet.asked.get(f"/probe/{at}") for at in pinged_at.values()),
    )


def test_a_host_that_does_not_answer_fires_after_three_tries_and_not_while_busy(
    stack: Stack,
) -> None:
    stack.watch("silent", "dumping")
    stack.fleet.tell("silent")
    stack.fleet.tell("dumping", busy=1)
    stack.fleet.list_targets({"silent": ["silent:1"], "dumping": ["dumping:1"]})
    wait_until("busy", lambda: stack.firing("AgentBusy", host="dumping"))
    before = stack.fleet.asked.get("/probe/silent", 0)
    stack.fleet.ping("silent", success=False)
    stack.fleet.ping("dumping", success=False)
    wait_until("the alert", lambda: stack.firing(FAILED, host="silent"))
    assert stack.fleet.asked["/probe/silent"] - before >= 3
    wait_until("a page", lambda: stack.fleet.told("people", FAILED, host="silent"))
    assert not stack.alerts(FAILED, host="dumping")
    stack.fleet.tell("dumping", busy=0)
    wait_until("the alert of the idle host", lambda: stack.firing(FAILED, host="dumping"))


def test_a_host_that_leaves_the_list_ends_its_alert(stack: Stack) -> None:
    stack.fleet.list_targets({"leaving": ["leaving:1"]})
    stack.fleet.ping("leaving", success=False)
    wait_until("the alert", lambda: stack.firing(FAILED, host="leaving"))
    stack.fleet.list_targets({})
    wait_until("its end", lambda: not stack.alerts(FAILED, host="leaving"))
    pinged = stack.fleet.asked["/probe/leaving"]
    stack.evaluations("vector(1)", count=3)
    assert stack.fleet.asked["/probe/leaving"] == pinged
    wait_until("told", lambda: stack.fleet.told("people", FAILED, "resolved", host="leaving"))


def test_a_failed_scrape_of_the_blackbox_exporter_does_not_reset(stack: Stack) -> None:
    stack.fleet.list_targets({"steady": ["steady:1"]})
    stack.fleet.ping("steady", success=False)
    wait_until("the alert", lambda: stack.firing(FAILED, host="steady"))
    began = stack.alerts(FAILED, host="steady")[0]["activeAt"]
    stack.fleet.failing_once.add("/probe/steady")
    wait_until("a failed scrape", lambda: not stack.fleet.failing_once)
    stack.evaluations('min_over_time(up{host="steady"}[30s]) == 0', count=3)
    assert stack.alerts(FAILED, host="steady")[0]["activeAt"] == began
    stack.fleet.list_targets({})


def _probe(stack: Stack, module: str, target: str) -> str:
    address = f"{stack.blackbox}/probe?module={module}&target={target}"
    return str(get(address, timeout_seconds=20))


CAP_NET_RAW = 1 << 13


def _may_ping() -> bool:
    """Whether the kernel lets this user send ICMP, in either of the two ways."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (capabilities,) = (line.split()[1] for line in status.splitlines() if "CapEff" in line)
    first, last = map(int, Path("/proc/sys/net/ipv4/ping_group_range").read_text().split())
    return bool(int(capabilities, 16) & CAP_NET_RAW) or first <= os.getegid() <= last


def test_the_icmp_module_pings_a_host_where_the_kernel_allows_it(stack: Stack) -> None:
    assert f"probe_success {int(_may_ping())}\n" in _probe(stack, "icmp", "127.0.0.1")


def test_the_http_module_pings_an_agent(stack: Stack) -> None:
    stack.fleet.pages["/echo"] = "pong"
    agent = f"http://{stack.fleet.address}"
    assert "probe_success 1\n" in _probe(stack, "http_agent", f"{agent}/echo")
    assert "probe_success 0\n" in _probe(stack, "http_agent", f"{agent}/gone")


def test_the_list_of_targets_is_kept_while_its_server_is_down(stack: Stack) -> None:
    stack.fleet.ping("kept", success=True)
    stack.fleet.list_targets({"kept": ["kept:1"]})
    wait_until("the ping", lambda: stack.fleet.asked.get("/probe/kept"))
    listing = json.loads(stack.fleet.pages.pop("/api/v1/sd/ping-targets"))
    assert listing
    asked = stack.fleet.asked["/api/v1/sd/ping-targets"]
    wait_until(
        "refreshes that fail", lambda: stack.fleet.asked["/api/v1/sd/ping-targets"] > asked + 2
    )
    pinged = stack.fleet.asked["/probe/kept"]
    wait_until("it is pinged on", lambda: stack.fleet.asked["/probe/kept"] > pinged + 1)
    stack.fleet.list_targets({})
