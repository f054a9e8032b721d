"""Where the hosts to ping come from the inventory's files: all that keeps them quiet is elsewhere.

No mute takes a host off that list, so that a ping may fail while one holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from demo.stack.http import get, post
from demo.stack.processes import wait_until
from tests.integration.mutes import pinged as pinged_sites
from tests.integration.mutes.nodes import AGENT, Node
from tests.integration.mutes.pinged import Pinged
from tests.integration.mutes.site import Json

pytestmark = pytest.mark.integration

YES = ("true", "True", "yes", "YES", "On", "y")
NO = ("false", "No", "off", "")


@pytest.fixture(scope="module")
def shared_pinged(age: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pinged]:
    folder = tmp_path_factory.mktemp(f"from-files-{age}")
    with pinged_sites.running(folder, age, from_files=True) as running:
        yield running


@pytest.fixture
def pinged(shared_pinged: Pinged) -> Iterator[Pinged]:
    yield shared_pinged
    shared_pinged.site.clear()


def test_a_label_that_says_maintenance_takes_a_host_off_the_list_in_any_spelling(
    pinged: Pinged,
) -> None:
    def marked(word: str) -> Node:
        return pinged.site.add(labels={"maintenance": word, "zone": "quoted"})

    away = {word: marked(word) for word in YES}
    there = {node.name: node for node in map(marked, NO)}
    wait_until("scrapes of all", lambda: all(one.scrapes for one in away.values()))
    wait_until("pings of the others", lambda: all(one.pings for one in there.values()))
    assert pinged.ping_targets().keys() == there.keys()

    inventory = pinged.site.folder / "hosts.yml"
    plain = inventory.with_suffix(".new")
    unquoted = re.sub(r"(maintenance: )'(\w+)'", r"\1\2", inventory.read_text())
    plain.write_text(unquoted.replace("zone: quoted", "zone: plain"))
    plain.replace(inventory)

    def taken() -> bool:
        targets = pinged.ping_targets()
        return {targets[host]["labels"]["zone"] for host in there} == {"plain"}

    wait_until("the words without quotes to be taken up", taken)
    pinged.rounds(next(iter(there.values())), 3)
    assert pinged.ping_targets().keys() == there.keys()
    assert [word for word, one in away.items() if one.pings] == []

    back = away["On"]
    back.labels = {"maintenance": "Off"}
    pinged.site.write_inventory()
    wait_until("pings once it is over", lambda: back.pings)


def status(pinged: Pinged, node: Node) -> Json:
    """Return what Alertmanager says of the node's failing pings: None while they do not fail."""
    alerts = get(f"{pinged.site.alertmanager.url}/api/v2/alerts")
    wanted = {"alertname": "HostPingFailed", "host": node.name}
    of_node = [one["status"] for one in alerts if wanted.items() <= one["labels"].items()]
    return of_node[0] if of_node else None


def restarted(pinged: Pinged, node: Node) -> Json:
    """Ask for a restart of the node's agent; return what became of it."""
    post(f"{pinged.site.responder.url}/api/v1/restarts", {"host": node.name, "agent": AGENT})
    return pinged.site.responder.finished(node.name)


def until_it_fires(pinged: Pinged, node: Node, silences: list[str]) -> None:
    """Wait until HostPingFailed fires in Prometheus, and Alertmanager has it with ``silences``."""
    firing = f'ALERTS{{alertname="HostPingFailed",alertstate="firing",host="{node.name}"}}'
    state = "suppressed" if silences else "active"
    expected = {"state": state, "silencedBy": silences, "inhibitedBy": []}

    def look() -> bool:
        told = status(pinged, node)
        return bool(told and told.items() >= expected.items() and pinged.query(firing))

    wait_until("the alert", look, seen=lambda: (status(pinged, node), pinged.site.mute(node)))


def test_a_host_whose_ping_fails_is_not_restarted_and_a_mute_makes_that_no_reason(
    pinged: Pinged,
) -> None:
    node = pinged.site.add()
    wait_until("pings", lambda: node.pings)
    node.answers_pings = False
    until_it_fires(pinged, node, silences=[])
    refused = restarted(pinged, node)
    assert refused["outcome"] == "host_not_connected"
    assert refused["reason"] == (
        "the host is disconnected: its pings fail: their alert fires, unmuted"
    )

    node.busy = 1
    silence = pinged.site.one_silence(node)
    node.busy = None  # nobody can tell: rule and inhibition let the alert through, the mute stays
    until_it_fires(pinged, node, silences=[silence["id"]])
    refused = restarted(pinged, node)
    assert refused["outcome"] == "below_hard_limit", "a guard that comes long after the pings"
    assert refused["facts"]["request"]["pings_fail"] is False

    assert pinged.site.unmute(node) == 204
    until_it_fires(pinged, node, silences=[])
    assert restarted(pinged, node)["outcome"] == "host_not_connected"


def test_a_person_who_begins_maintenance_silences_a_ping_that_fails(pinged: Pinged) -> None:
    """The files know nothing of it, so the host is pinged on; the real silence holds it back."""
    node = pinged.site.add()
    wait_until("pings", lambda: node.pings)
    pinged.site.begin_maintenance(node, "new disks")
    silence = pinged.site.one_silence(node)
    node.answers_pings = False
    until_it_fires(pinged, node, silences=[silence["id"]])
    assert restarted(pinged, node)["outcome"] == "maintenance"
    pinged.site.end_maintenance(node)
    until_it_fires(pinged, node, silences=[])
    assert pinged.site.silences(node) == []
