"""A mute from its making to its end, as the responder and Alertmanager have it."""

from __future__ import annotations

import math
import time

import pytest
import requests

from demo.stack.processes import wait_until
from tests.integration.mutes.nodes import GIB, Node
from tests.integration.mutes.site import QUICK, Json, Site, ends_at

pytestmark = pytest.mark.integration

MINUTE = 60


def test_the_deadline_is_5_minutes_for_each_begun_4_gib_and_an_hour_at_most(site: Site) -> None:
    minutes_of = {0: 5, 4 * GIB - 1: 5, 4 * GIB: 10, 10 * GIB: 15, 100 * GIB: 60}
    for resident_bytes, minutes in minutes_of.items():
        node = site.add(resident_bytes=resident_bytes)
        before = time.time()
        silence = site.gets_busy(node)
        until = site.until(node)
        after = time.time()
        assert until is not None
        assert before + minutes * MINUTE <= until <= math.ceil(after + minutes * MINUTE)
        assert before + minutes * MINUTE + 1 <= ends_at(silence) <= after + minutes * MINUTE + 2


def test_the_silence_is_for_this_hosts_pings_alone_and_says_why(site: Site) -> None:
    node = site.add()
    silence = site.gets_busy(node)
    assert {(one["name"], one["value"]) for one in silence["matchers"]} == {
        ("alertname", "HostPingFailed"),
        ("host", node.name),
    }
    assert silence["createdBy"] == "memleash"
    assert silence["comment"] == "memleash: sample-agent is busy"


def test_while_busy_it_is_renewed_in_place_under_the_same_id(site: Site) -> None:
    node = site.add()
    silence = site.gets_busy(node)
    ends = site.renewals(node, 3)
    assert ends == sorted(ends)
    assert site.one_silence(node)["id"] == silence["id"]
    assert site.silences(node, "expired") == []


def test_a_smaller_agent_gets_an_earlier_deadline_in_place(site: Site) -> None:
    node = site.add(resident_bytes=10 * GIB)
    silence = site.gets_busy(node)
    node.resident_bytes = GIB
    wait_until(
        "the earlier deadline", lambda: ends_at(site.one_silence(node)) < ends_at(silence) - 500
    )
    assert site.one_silence(node)["id"] == silence["id"]


def test_idle_leaves_the_tail_and_then_nothing(site: Site) -> None:
    node = site.add()
    site.gets_busy(node)
    node.busy = 0
    idle_at = time.time()
    site.tell(node, "resolved")
    site.no_silence(node)
    assert site.mute(node) == {"muted": False, "until": None, "reason": None}
    (silence,) = site.silences(node, "expired")
    assert ends_at(silence) >= idle_at + 2  # the tail


def test_idle_is_found_without_being_told(site: Site) -> None:
    node = site.add()
    site.gets_busy(node)
    node.busy = 0
    site.no_silence(node)


def test_a_host_that_was_never_muted_is_unmuted_harmlessly(site: Site) -> None:
    node = site.add()
    node.looked_at.clear()
    site.tell(node, "resolved")
    assert node.looked_at.wait(60)
    assert site.unmute(node) == 204
    site.gets_busy(site.add())  # by now the other's turn has come too
    assert site.silences(node, "active", "expired") == []


def test_an_alert_is_a_hint_only_an_idle_agent_is_not_muted(site: Site) -> None:
    idle, busy = site.add(), site.add()
    site.tell(idle)
    assert idle.looked_at.wait(60)
    site.gets_busy(busy)
    assert site.silences(idle) == []
    assert not site.mute(idle)["muted"]


@pytest.mark.parametrize(
    "unknown", [{"exporter_answers": False}, {"busy": None}], ids=["exporter down", "no sample"]
)
def test_unknown_mutes_nothing_new(site: Site, unknown: dict[str, None]) -> None:
    node = site.add(**{"busy": 1, **unknown})
    site.tell(node)
    assert node.looked_at.wait(60)
    site.gets_busy(site.add())  # by now this one's turn has come too
    assert site.silences(node, "active", "expired") == []
    assert not site.mute(node)["muted"]


@pytest.mark.parametrize(
    "unknown", [{"exporter_answers": False}, {"busy": None}], ids=["exporter down", "no sample"]
)
def test_unknown_renews_nothing_and_the_mute_runs_out(site: Site, unknown: dict[str, None]) -> None:
    site.use(QUICK)
    node = site.add()
    site.gets_busy(node)
    for name, value in unknown.items():
        setattr(node, name, value)
    unknown_at = time.time()
    wait_until("the end", lambda: not site.mute(node)["muted"])
    site.no_silence(node)
    (silence,) = site.silences(node, "expired")
    assert ends_at(silence) <= unknown_at + 3 + 2 + 2  # base, a look under way, whole seconds


def test_no_stretch_is_muted_beyond_max_hold_not_even_with_a_missed_scrape(site: Site) -> None:
    site.use({**QUICK, "max_hold": "4s"})
    node = site.add()
    began = time.time()
    silence = site.gets_busy(node)
    muted_at = time.time()
    site.no_silence(node)
    (ended,) = site.silences(node, "expired")
    assert ended["id"] == silence["id"]
    assert began + 4 <= ends_at(ended) <= muted_at + 4 + 2
    for answers in (False, True):
        node.exporter_answers = answers
        node.looked_at.clear()
        assert node.looked_at.wait(60), "it is looked at on and on"
    site.tell(node)
    site.gets_busy(site.add())
    assert site.silences(node) == []


def test_a_new_life_that_is_busy_is_muted_again(site: Site) -> None:
    site.use({**QUICK, "max_hold": "4s"})
    node = site.add()
    first = site.gets_busy(node)
    site.no_silence(node)
    node.start_time = time.time()
    assert site.one_silence(node)["id"] != first["id"]


def _suppressed(site: Site, node: Node) -> bool:
    alerts = requests.get(f"{site.alertmanager.url}/api/v2/alerts", timeout=60).json()
    (status,) = [one["status"] for one in alerts if one["labels"]["host"] == node.name]
    return bool(status["silencedBy"])


def test_the_second_of_the_deadline_is_still_muted_and_the_next_is_not(site: Site) -> None:
    site.use(QUICK)
    node = site.add()
    labels = {"alertname": "HostPingFailed", "host": node.name}
    url = f"{site.alertmanager.url}/api/v2/alerts"
    requests.post(url, json=[{"labels": labels}], timeout=60).raise_for_status()
    site.gets_busy(node)
    node.exporter_answers = False
    looks: list[tuple[float, Json, bool, float]] = []

    def look() -> bool:
        began = time.time()
        mute, suppressed = site.mute(node), _suppressed(site, node)
        looks.append((began, mute["muted"], suppressed, time.time()))
        return not any(muted or silent for _, muted, silent, _ in looks[-2:])

    last = site.until(node)
    wait_until("the end", look, every_seconds=0.01)
    (silence,) = site.silences(node, "expired")
    until = ends_at(silence) - 1
    assert last is not None
    assert last <= until
    in_the_last_second = [one for one in looks if until <= one[0] and one[3] < until + 1]
    assert in_the_last_second
    assert all(muted and suppressed for _, muted, suppressed, _ in in_the_last_second)
    after = [one for one in looks if one[0] >= until + 1]
    assert after
    assert not any(muted or suppressed for _, muted, suppressed, _ in after)


def test_with_the_responder_dead_for_good_the_silence_ends_at_its_deadline(site: Site) -> None:
    site.use(QUICK)
    node = site.add()
    site.gets_busy(node)
    site.responder.program.kill()
    try:
        killed_at = time.time()
        end = ends_at(site.one_silence(node))
        assert end <= killed_at + 3 + 2
        wait_until("its end", lambda: not site.silences(node))
        assert time.time() >= end
        (silence,) = site.silences(node, "expired")
        assert ends_at(silence) == end
    finally:
        site.responder.program.start()
