"""The responder is killed at any moment of a mute's life, and started again."""

from __future__ import annotations

import pytest

from tests.integration.mutes.nodes import GIB, Node
from tests.integration.mutes.site import Hold, Site
from tests.support.stacks import ONE_AGE

pytestmark = [pytest.mark.integration, ONE_AGE]


def _killed_at(site: Site, hold: Hold) -> None:
    """Kill the responder while it waits for an answer, and start it again."""
    assert hold.reached.wait(60)
    site.responder.program.kill()
    hold.go.set()
    site.responder.program.start()


def _agreed(site: Site, node: Node) -> None:
    """Wait until the responder has compared notes with Alertmanager twice, renewing ``node``."""
    site.renewals(node, 2)


@pytest.mark.parametrize("passed_on", [False, True], ids=["not made", "made, not heard of"])
def test_killed_while_it_makes_a_mute_it_ends_with_one_silence(site: Site, passed_on: bool) -> None:
    node = site.add(busy=1)
    hold = site.proxy.hold_at("POST", node.name, passed_on=passed_on)
    site.tell(node)
    _killed_at(site, hold)
    _agreed(site, node)
    assert len(site.silences(node, "active", "pending", "expired")) == 1


@pytest.mark.parametrize("passed_on", [False, True], ids=["not renewed", "renewed, not heard of"])
def test_killed_while_it_renews_a_mute_it_goes_on_with_the_same_silence(
    site: Site, passed_on: bool
) -> None:
    node = site.add()
    silence = site.gets_busy(node)
    hold = site.proxy.hold_at("POST", node.name, passed_on=passed_on)
    node.resident_bytes = 4 * GIB
    _killed_at(site, hold)
    _agreed(site, node)
    assert [one["id"] for one in site.silences(node, "active", "expired")] == [silence["id"]]


@pytest.mark.parametrize("passed_on", [False, True], ids=["not ended", "ended, not heard of"])
def test_killed_while_it_ends_a_mute_it_leaves_none_behind(site: Site, passed_on: bool) -> None:
    node = site.add()
    silence = site.gets_busy(node)
    hold = site.proxy.hold_at("DELETE", silence["id"], passed_on=passed_on)
    assert site.unmute(node) == 204
    _killed_at(site, hold)
    site.no_silence(node)
    assert [one["id"] for one in site.silences(node, "expired")] == [silence["id"]]


def test_killed_before_it_looked_it_looks_after_its_start(site: Site) -> None:
    node = site.add(busy=1)
    site.tell(node)
    site.restart_responder()
    _agreed(site, node)
    assert len(site.silences(node, "active", "expired")) == 1


def test_an_agent_that_got_idle_while_the_responder_was_dead_is_unmuted(site: Site) -> None:
    idle, busy = site.add(), site.add()
    site.gets_busy(idle)
    kept = site.gets_busy(busy)
    site.responder.program.kill()
    idle.busy = 0
    site.responder.program.start()
    site.no_silence(idle)
    assert site.one_silence(busy)["id"] == kept["id"], "what is still right is adopted"


def test_with_its_memory_lost_it_ends_the_silences_that_it_cannot_account_for(site: Site) -> None:
    node = site.add()
    silence = site.gets_busy(node)
    site.responder.program.kill()
    for file in site.folder.glob("responder.db*"):
        file.unlink()
    site.responder.program.start()
    site.no_silence(node)
    site.tell(node)  # as Alertmanager does again and again while the agent is busy
    assert site.one_silence(node)["id"] != silence["id"]
