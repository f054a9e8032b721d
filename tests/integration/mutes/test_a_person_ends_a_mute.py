"""A mute ended by hand stays ended while what caused it goes on, and no longer."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
import requests

from tests.integration.mutes.nodes import Node
from tests.integration.mutes.site import Site
from tests.support.memleashctl import memleashctl
from tests.support.stacks import find_or_skip

pytestmark = pytest.mark.integration


def _looked_at_again(node: Node, times: int = 2) -> None:
    for _ in range(times):
        node.looked_at.clear()
        assert node.looked_at.wait(60)


def _pinged(site: Site, node: Node) -> bool:
    targets = site.responder.get("/api/v1/sd/ping-targets")
    return node.name in [one["labels"]["host"] for one in targets]


def test_it_stays_ended_until_the_agent_was_idle_once(site: Site) -> None:
    node = site.add()
    first = site.gets_busy(node)
    assert site.unmute(node) == 204
    assert not site.mute(node)["muted"], "at once"
    assert _pinged(site, node)
    site.no_silence(node)
    site.tell(node)  # Alertmanager tells it on and on
    _looked_at_again(node)
    assert not site.mute(node)["muted"]
    assert site.silences(node) == []
    node.busy = 0
    _looked_at_again(node)
    assert site.gets_busy(node)["id"] != first["id"]


def test_it_stays_ended_when_the_responder_is_killed(site: Site) -> None:
    node = site.add()
    site.gets_busy(node)
    site.unmute(node)
    site.restart_responder()
    site.no_silence(node)
    site.tell(node)
    _looked_at_again(node)
    assert not site.mute(node)["muted"]
    assert site.silences(node) == []


def test_a_new_process_that_is_busy_is_muted(site: Site) -> None:
    node = site.add()
    first = site.gets_busy(node)
    site.unmute(node)
    site.no_silence(node)
    node.start_time = time.time()
    assert site.one_silence(node)["id"] != first["id"]


def test_an_unknown_host_has_no_mute_to_show_or_end(site: Site) -> None:
    for method, path in (("GET", "hosts/nobody/mute"), ("DELETE", "mutes/nobody")):
        answer = requests.request(method, f"{site.responder.url}/api/v1/{path}", timeout=60)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_api_lists_the_muted_hosts_with_deadline_and_reason(site: Site) -> None:
    busy, idle = site.add(), site.add()
    site.gets_busy(busy)
    mutes = site.responder.get("/api/v1/mutes")["mutes"]
    (listed,) = [one for one in mutes if one["host"] in (busy.name, idle.name)]
    assert (listed["host"], listed["muted"]) == (busy.name, True)
    assert listed["reason"] == "sample-agent is busy"
    assert site.mute(idle) == {"muted": False, "until": None, "reason": None}


def _ctl(site: Site, *arguments: str) -> str:
    ran = memleashctl("--url", site.responder.url, *arguments)
    assert ran.code == 0, ran
    return ran.out


def test_memleashctl_shows_and_ends_a_mute(site: Site) -> None:
    node = site.add()
    site.gets_busy(node)
    assert node.name in _ctl(site, "mutes")
    _ctl(site, "mutes", "expire", node.name)
    assert node.name not in _ctl(site, "mutes")
    site.no_silence(node)


def test_amtool_shows_our_silences_and_one_that_it_expires_comes_back(site: Site, age: str) -> None:
    """The documented reason to end a mute at the responder: it makes Alertmanager agree again."""
    node = site.add()
    silence = site.gets_busy(node)
    amtool: list[str | Path] = [
        find_or_skip(age).amtool,
        f"--alertmanager.url={site.alertmanager.url}",
        "silence",
    ]
    query = [*amtool, "query", "-o", "json", f"host={node.name}"]
    done = subprocess.run(query, capture_output=True, text=True, check=True)
    (shown,) = json.loads(done.stdout)
    assert (shown["id"], shown["createdBy"]) == (silence["id"], "memleash")
    subprocess.run([*amtool, "expire", silence["id"]], check=True)
    assert site.one_silence(node)["id"]
