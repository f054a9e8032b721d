"""The inventory: what a file_sd file may hold, and what happens when it changes."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from memleash_responder.adapters.inventory import Inventory, load
from memleash_responder.core.facts import Host
from memleash_responder.settings import InventorySettings
from memleash_toolkit.addresses import ADDRESS_FORM, SSH_FORM
from memleash_toolkit.settings import ConfigError

GOOD = """\
- targets: ['10.0.0.7:10058']
  labels: {host: node-7, zone: z1, ssh_address: jump-7}
- targets: ['[2001:db8::8]:10058']
  labels: {host: node-8}
"""
NODE_7 = Host(
    "node-7", "10.0.0.7:10058", "jump-7", {"host": "node-7", "zone": "z1", "ssh_address": "jump-7"}
)
NODE_8 = Host("node-8", "[2001:db8::8]:10058", "2001:db8::8", {"host": "node-8"})


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str, name: str = "hosts.yml") -> Path:
        """Replace the file in one step, as configuration management does."""
        new = tmp_path / f"{name}.new"
        new.write_text(text)
        new.replace(tmp_path / name)
        return tmp_path / name

    return write


def test_each_group_is_a_host_with_its_addresses_and_labels(write: Callable[..., Path]) -> None:
    assert load([write(GOOD)]) == {"node-7": NODE_7, "node-8": NODE_8}


def test_json_with_tabs_is_read_as_prometheus_reads_it(write: Callable[..., Path]) -> None:
    groups = [{"targets": [NODE_8.exporter_address], "labels": dict(NODE_8.labels)}]
    file = write(json.dumps(groups, indent="\t"), "hosts.json")
    assert load([file]) == {"node-8": NODE_8}


def test_a_glob_in_the_last_part_reads_every_match(write: Callable[..., Path]) -> None:
    write("- {targets: ['a:1'], labels: {host: a}}", "one.yml")
    write("- {targets: ['b:1'], labels: {host: b}}", "two.yml")
    write("not: read", "other.txt")
    folder = write("[]", "three.yml").parent
    assert set(load([folder / "*.yml"])) == {"a", "b"}


def test_the_same_host_given_twice_alike_is_one_host(write: Callable[..., Path]) -> None:
    assert set(load([write(GOOD), write(GOOD, "again.yml")])) == {"node-7", "node-8"}


GROUP = "- {targets: [%s], labels: {host: %s}}"


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        ("", "", "is empty; write [] for no hosts"),
        ("{}", "", "{} must be a list of targets and labels"),
        ("- node-1", "[0]", "'node-1' must have targets and labels"),
        (
            "- {targets: ['a:1'], labels: {host: a}, target: b}",
            "[0].target",
            "unknown key 'target'; allowed here: targets, labels",
        ),
        ("- {targets: ['a:1']}", "[0].labels", "None must be a mapping with at least host"),
        (
            "- {targets: ['a:1'], labels: {zone: z}}",
            "[0].labels.host",
            "is missing; every group names its host",
        ),
        (
            "- {targets: ['a:1'], labels: {host: 7}}",
            "[0].labels.host",
            "7 must be text",
        ),
        (
            "- {labels: {host: a}}",
            "[0].targets",
            "None must be a list of one address:port: one host, one group",
        ),
        (
            GROUP % ("'a:1', 'b:1'", "a"),
            "[0].targets",
            "['a:1', 'b:1'] must be a list of one address:port: one host, one group",
        ),
        (
            "- {targets: ['a:1'], labels: {host: a, maintenance: later}}",
            "[0].labels.maintenance",
            "'later' must be one of true, yes, on, y, false, no, off, n",
        ),
        (
            "- {targets: ['a:1'], labels: {host: a, restart_libvirtd: '1'}}",
            "[0].labels.restart_libvirtd",
            "'1' must be one of true, yes, on, y, false, no, off, n",
        ),
        (GROUP % ("a", "a"), "[0].targets[0]", f"'a' {ADDRESS_FORM}"),
        (GROUP % ("'a:0'", "a"), "[0].targets[0]", f"'a:0' {ADDRESS_FORM}"),
        (GROUP % ("'a:65536'", "a"), "[0].targets[0]", f"'a:65536' {ADDRESS_FORM}"),
        (GROUP % ("'http://a:1'", "a"), "[0].targets[0]", f"'http://a:1' {ADDRESS_FORM}"),
        (GROUP % ("'u@a:1'", "a"), "[0].targets[0]", f"'u@a:1' {ADDRESS_FORM}"),
    ],
)
def test_a_mistake_is_named_with_file_path_and_value(
    write: Callable[..., Path], text: str, path: str, problem: str
) -> None:
    file = write(text)
    with pytest.raises(ConfigError) as caught:
        load([file])
    assert (caught.value.source, caught.value.path) == (str(file), path)
    assert caught.value.problem == problem


@pytest.mark.parametrize("name", [".", "..", "a/b", "a b", "a\nb", "a\x00b", "a\\b", "a" * 254])
def test_a_host_name_that_could_lead_a_url_astray_is_refused(
    write: Callable[..., Path], name: str
) -> None:
    groups = [{"targets": ["a:1"], "labels": {"host": name}}]
    with pytest.raises(ConfigError, match=r"labels\.host"):
        load([write(json.dumps(groups), "hosts.json")])


@pytest.mark.parametrize(
    "address",
    ["", "-oProxyCommand=id", "a b", "a\nb", "a;b", "$(id)", "user@a", "a\x00", "a*", "]:["],
)
def test_an_absurd_ssh_address_is_refused(write: Callable[..., Path], address: str) -> None:
    groups = [{"targets": ["a:1"], "labels": {"host": "a", "ssh_address": address}}]
    with pytest.raises(ConfigError, match=r"labels\.ssh_address"):
        load([write(json.dumps(groups), "hosts.json")])


@pytest.mark.parametrize("address", ["[]:22", "[::1", "::1]", "[a]:22", "a:0", "a:99999", "1.2.3"])
def test_an_ssh_address_that_leads_nowhere_is_refused(
    write: Callable[..., Path], address: str
) -> None:
    groups = [{"targets": ["a:1"], "labels": {"host": "a", "ssh_address": address}}]
    with pytest.raises(ConfigError, match=re.escape(f"{address!r} {SSH_FORM}")):
        load([write(json.dumps(groups), "hosts.json")])


def test_an_ipv6_address_may_have_a_zone(write: Callable[..., Path]) -> None:
    groups = [{"targets": ["[fe80::1%eth0]:10058"], "labels": {"host": "a"}}]
    host = load([write(json.dumps(groups), "hosts.json")])["a"]
    assert (host.exporter_address, host.ssh_address) == ("[fe80::1%eth0]:10058", "fe80::1%eth0")


def test_one_host_at_two_addresses_is_refused_with_both_places(
    write: Callable[..., Path],
) -> None:
    first = write("- {targets: ['a:1'], labels: {host: x}}", "1.yml")
    second = write("- {targets: ['b:1'], labels: {host: x}}", "2.yml")
    with pytest.raises(ConfigError) as caught:
        load([first, second])
    assert str(caught.value) == (
        f"{second}: [0]: host 'x' is given twice and not alike, first at {first}: [0]"
    )


def test_a_missing_file_and_a_glob_without_matches_are_refused(tmp_path: Path) -> None:
    for file in (tmp_path / "none.yml", tmp_path / "*.yml", tmp_path / "none.json"):
        with pytest.raises(ConfigError, match=r"none\.|matches no file"):
            load([file])


def test_broken_json_is_named(write: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="is not valid JSON"):
        load([write("[{]", "hosts.json")])


@pytest.fixture
def inventory(write: Callable[..., Path]) -> Inventory:
    return Inventory(InventorySettings((write(GOOD),)))


def test_a_changed_file_is_read_again(inventory: Inventory, write: Callable[..., Path]) -> None:
    assert inventory.get("node-7") == NODE_7
    write(GOOD.replace("node-7", "node-9"))
    assert inventory.get("node-7") is None
    assert inventory.get("node-9") is not None


def test_a_file_of_the_same_size_and_time_is_still_seen_as_new(
    inventory: Inventory, write: Callable[..., Path]
) -> None:
    before = write(GOOD).stat()
    assert inventory.get("node-7") is not None
    file = write(GOOD.replace("node-7", "node-9"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert inventory.get("node-9") is not None


@pytest.mark.parametrize("broken", ["- [", "", "- {targets: [], labels: {host: a}}", None])
def test_a_bad_new_version_keeps_the_old_one_and_is_logged_once(
    inventory: Inventory,
    write: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
    broken: str | None,
) -> None:
    file = write(broken or "")
    if broken is None:
        file.unlink()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert inventory.get("node-9") is None  # waits until the new version is read
            hosts = inventory.hosts()
    assert set(hosts) == {"node-7", "node-8"}
    assert [record.getMessage() for record in caplog.records] == [
        "inventory is not valid, the old one stays"
    ]
    write("- {targets: ['a:1'], labels: {host: mended}}")
    assert inventory.get("mended") is not None
    assert set(inventory.hosts()) == {"mended"}


def test_the_given_mapping_cannot_be_changed(inventory: Inventory) -> None:
    with pytest.raises(TypeError):
        inventory.hosts()["evil"] = NODE_7  # type: ignore[index]


def test_the_list_goes_on_with_the_old_version_and_one_name_waits_for_the_new(
    tmp_path: Path,
) -> None:
    """Seen: an alert about a new host came in the milliseconds in which its file was read."""
    file, slow = tmp_path / "hosts.yml", tmp_path / "slow"
    file.write_text(GOOD)
    asked = Inventory(InventorySettings((file,)))
    os.mkfifo(slow)  # is read as slowly as it is written
    slow.replace(file)
    with ThreadPoolExecutor(1) as pool:
        assert set(asked.hosts()) == {"node-7", "node-8"}
        waiting = pool.submit(asked.get, "node-9")
        assert set(asked.hosts()) == {"node-7", "node-8"}
        assert not waiting.done()
        with file.open("w") as written:  # opens once the reader has opened it
            written.write(GOOD.replace("node-7", "node-9"))
        node = waiting.result(timeout=60)
    assert node is not None
    assert node.name == "node-9"


def test_only_the_file_that_changed_is_read_again(tmp_path: Path) -> None:
    unchanged, changed = tmp_path / "1.yml", tmp_path / "2.yml"
    unchanged.write_text("- {targets: ['a:1'], labels: {host: a}}")
    changed.write_text("- {targets: ['b:1'], labels: {host: b}}")
    asked = Inventory(InventorySettings((tmp_path / "*.yml",)))
    times = unchanged.stat()
    unchanged.write_text("- {targets: ['x:1'], labels: {host: x}}")  # as nobody can see
    os.utime(unchanged, ns=(times.st_atime_ns, times.st_mtime_ns))
    changed.write_text("- {targets: ['new:1'], labels: {host: new}}")

    assert asked.get("new") is not None
    assert set(asked.hosts()) == {"a", "new"}
    changed.unlink()
    assert asked.get("new") is None
    assert set(asked.hosts()) == {"a"}


def test_a_file_that_was_left_alone_still_counts_for_a_host_given_twice(tmp_path: Path) -> None:
    first, second = tmp_path / "1.yml", tmp_path / "2.yml"
    first.write_text("- {targets: ['a:1'], labels: {host: a}}")
    second.write_text("- {targets: ['b:1'], labels: {host: b}}")
    asked = Inventory(InventorySettings((first, second)))
    second.write_text("- {targets: ['other:1'], labels: {host: a}}")

    assert asked.get("b") is not None
    assert not asked.valid
