"""A host in maintenance has a silence in Alertmanager for as long as that lasts."""

from __future__ import annotations

import time

import pytest

from demo.stack.processes import wait_until
from tests.integration.mutes.site import QUICK, UNHURRIED, Site, ends_at

pytestmark = pytest.mark.integration

MINUTE = 60


def test_a_label_has_the_hosts_pings_alone_silenced_until_it_goes(site: Site) -> None:
    node = site.add(labels={"maintenance": "On"})
    before = time.time()
    silence = site.one_silence(node)
    assert {(one["name"], one["value"]) for one in silence["matchers"]} == {
        ("alertname", "HostPingFailed"),
        ("host", node.name),
    }
    assert silence["createdBy"] == "memleash"
    assert silence["comment"] == ("memleash: maintenance: the inventory's label says maintenance")
    assert before + 5 * MINUTE < ends_at(silence) <= time.time() + 10 * MINUTE + 2
    node.labels = {"maintenance": "Off"}
    site.write_inventory()
    site.no_silence(node)
    (ended,) = site.silences(node, "expired")
    assert ended["id"] == silence["id"]


def test_a_persons_maintenance_is_renewed_in_place_beyond_max_hold_and_a_crash(site: Site) -> None:
    site.use({**QUICK, "max_hold": "4s"})
    node = site.add()
    began = time.time()
    site.begin_maintenance(node, "new disks")
    silence = site.one_silence(node)
    assert "new disks" in silence["comment"]
    ends = site.renewals(node, 2)
    assert ends == sorted(ends)
    assert ends[-1] > began + 4 + 2, "max_hold does not hold here"

    def seconds_left() -> float:
        return ends_at(site.one_silence(node)) - time.time()

    site.use(UNHURRIED)  # it must outlast a start, however slow
    wait_until("a later end", lambda: seconds_left() > 4 * 60, seen=seconds_left)
    site.restart_responder()
    site.use({**UNHURRIED, "base": "1m"})
    wait_until("a renewal after the crash", lambda: seconds_left() < 3 * 60, seen=seconds_left)
    assert site.one_silence(node)["id"] == silence["id"]
    assert site.silences(node, "expired") == []

    site.end_maintenance(node)
    site.no_silence(node)
    assert not site.mute(node)["muted"]
