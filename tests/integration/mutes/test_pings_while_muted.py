"""While a host is muted no ping reaches it: counted at the host, through the real exporters."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
import requests

from demo.stack.processes import wait_until
from demo.stack.tools import REPOSITORY, find
from tests.integration.mutes import pinged as pinged_sites
from tests.integration.mutes.pinged import Pinged

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shared_pinged(age: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pinged]:
    folder = tmp_path_factory.mktemp(f"pinged-{age}")
    with pinged_sites.running(folder, age) as running:
        yield running


@pytest.fixture
def pinged(shared_pinged: Pinged) -> Iterator[Pinged]:
    yield shared_pinged
    shared_pinged.site.clear()


def test_a_muted_host_gets_no_ping_at_all_and_is_pinged_again_once_idle(pinged: Pinged) -> None:
    node, other = pinged.site.add(), pinged.site.add()
    wait_until("pings of both", lambda: node.pings and other.pings)
    node.busy = 1
    wait_until("no target", lambda: node.name not in pinged.ping_targets())
    pinged.rounds(node, 1)  # a ping may have been under way
    before, others_before = len(node.pings), len(other.pings)
    pinged.rounds(node, 5)
    assert len(node.pings) == before
    assert len(other.pings) > others_before, "the other host is pinged on"
    assert pinged.site.mute(node)["muted"]
    node.busy = 0
    wait_until("pings again", lambda: len(node.pings) > before)
    pinged.site.no_silence(node)


def test_a_host_under_maintenance_gets_no_ping(pinged: Pinged) -> None:
    node, other = pinged.site.add(labels={"maintenance": "true"}), pinged.site.add()
    wait_until("pings of the other", lambda: other.pings)
    pinged.rounds(other, 3)
    assert not node.pings
    node.labels = {"maintenance": "false"}
    pinged.site.write_inventory()
    wait_until("pings", lambda: node.pings)


def test_a_host_is_muted_within_a_few_scrapes_of_getting_busy(pinged: Pinged) -> None:
    node = pinged.site.add()
    wait_until("pings", lambda: node.pings)
    seen = len(node.scrapes)
    node.busy = 1
    wait_until("the silence", lambda: pinged.silenced(node), every_seconds=0.01)
    # One scrape sees it, one evaluation may need the time of another; the rest is a slow machine.
    assert len(node.scrapes) - seen <= 5


def test_the_list_of_targets_is_http_sd_with_the_inventorys_labels(pinged: Pinged) -> None:
    node = pinged.site.add()
    answer = requests.get(f"{pinged.site.responder.url}/api/v1/sd/ping-targets", timeout=60)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].partition(";")[0] == "application/json"
    (group,) = [one for one in answer.json() if one["labels"]["host"] == node.name]
    assert group == {"targets": ["127.0.0.1"], "labels": node.group()["labels"]}
    target = wait_until("Prometheus to take it", lambda: pinged.ping_targets().get(node.name))
    labels = {"job": "memleash-ping", "host": node.name, "zone": "z1", "instance": "127.0.0.1"}
    assert target["labels"].items() >= labels.items()
    wait_until(
        "a ping's result",
        lambda: pinged.query(f'probe_success{{host="{node.name}",zone="z1"}} == 1'),
    )


def test_no_host_at_all_is_an_empty_list_and_no_error(pinged: Pinged) -> None:
    answer = requests.get(f"{pinged.site.responder.url}/api/v1/sd/ping-targets", timeout=60)
    assert answer.json() == []


def test_the_blackbox_exporter_takes_its_modules() -> None:
    exporter = find("stable").blackbox_exporter
    config = f"--config.file={REPOSITORY / 'rules' / 'blackbox.yml'}"
    done = subprocess.run([exporter, config, "--config.check"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
