"""Controllers as these tests configure them, and whom they are asked about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.controller_settings import HttpControllerSettings
from memleash_responder.core.facts import Host
from memleash_toolkit.values import Duration
from tests.contract.adapters.peer import Peer

HOST = Host("node 1/é", "127.0.0.1:1", "node-1", {"host": "node 1/é"})
AGENT = "kvm&agent"
RESTART = "restart-1"
ENCODED = "node%201%2F%C3%A9"
StartPeer = Callable[[], Peer]


def settings(url: str, name: str = "mn-1", **changes: Any) -> HttpControllerSettings:
    given = {
        "name": name,
        "drain_url": url + "/hosts/{host}/drain?agent={agent}",
        "undrain_url": url + "/hosts/{host}/undrain",
        "tasks_url": url + "/hosts/{host}/tasks",
        "reconnect_url": url + "/reconnect",
        "state_url": url + "/hosts/{host}/state",
        "timeout": Duration(1),
        **changes,
    }
    return HttpControllerSettings(**given)


def clients(*urls: str, hosts: tuple[str, ...] = (HOST.name,), **changes: Any) -> ControllerClients:
    return ControllerClients(
        tuple(settings(url, f"mn-{number}", **changes) for number, url in enumerate(urls, 1)),
        lambda: [named(host) for host in hosts],
    )


def named(host: str) -> Host:
    """Return a host of the inventory of which nothing but the name matters."""
    return Host(host, "127.0.0.1:1", host, {"host": host})
