"""Every kind of controller has its settings and its class; none is forgotten in one place."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import pytest

from memleash_responder.adapters.controllers import clients
from memleash_responder.controller_settings import KINDS, Controller, HttpControllerSettings
from memleash_responder.core.facts import Host
from memleash_toolkit.settings import ConfigError, build

CONTROLLER: Any = Controller
UNION, _ = typing.get_args(CONTROLLER)
LABELLED = Host("node-1", "127.0.0.1:1", "node-1", {"host": "node-1", "zone": "b"})


def test_every_kind_has_its_settings_and_its_class() -> None:
    assert clients.KINDS.keys() == KINDS.keys()
    assert set(KINDS.values()) == set(typing.get_args(UNION) or (UNION,))


@pytest.mark.parametrize("kind", KINDS)
def test_settings_name_their_own_kind(kind: str) -> None:
    assert typing.get_args(typing.get_type_hints(KINDS[kind])["kind"]) == (kind,)


def test_the_default_kind_is_http() -> None:
    built = build(CONTROLLER, {"name": "c"}, Path("x.yml"))
    assert isinstance(built, HttpControllerSettings)


@pytest.mark.parametrize("kind", ["zstak", ["http"], None, 7])
def test_a_kind_that_there_is_not_names_those_that_there_are(kind: object) -> None:
    kinds = ", ".join(KINDS)
    with pytest.raises(ConfigError, match=rf"x.yml: kind: .* must be one of {kinds}$"):
        build(CONTROLLER, {"name": "c", "kind": kind}, Path("x.yml"))


def test_a_key_that_the_kind_does_not_have_is_an_unknown_key() -> None:
    raw = {"name": "c", "access_key_file": "key"}
    with pytest.raises(ConfigError, match=r"access_key_file: unknown key .*allowed here: name"):
        build(CONTROLLER, raw, Path("x.yml"))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "http"])
def test_a_key_of_another_kind_is_an_unknown_key(kind: str) -> None:
    raw = {"name": "c", "kind": kind, "drain_url": "http://h/"}
    with pytest.raises(ConfigError, match=r"x.yml: drain_url: unknown key .*allowed here: name"):
        build(CONTROLLER, raw, Path("x.yml"))


@pytest.mark.parametrize(
    ("hosts", "is_its_own"),
    [(None, True), (('zone="a"', 'zone="b"'), True), (('zone="a"',), False)],
)
def test_a_controller_has_the_hosts_that_one_of_its_matchers_matches(
    hosts: tuple[str, ...] | None, is_its_own: bool
) -> None:
    assert HttpControllerSettings("c", hosts=hosts).has_host(LABELLED) is is_its_own


def test_a_host_that_left_the_inventory_may_be_anybodys() -> None:
    """Its labels are gone, and an undrain may be owed to it."""
    gone = Host("node-1", "", "", {})
    assert HttpControllerSettings("c", hosts=('zone="a"',)).has_host(gone)


def test_restarts_of_other_agents_do_not_concern_a_controller() -> None:
    settings = HttpControllerSettings("c", agents=("kvmagent",))
    assert settings.has_agent("kvmagent")
    assert not settings.has_agent("zabbix-agent")
