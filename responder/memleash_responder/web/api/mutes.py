"""Mutes as programs ask for them: one host's, all, and the hosts that may be pinged."""

from __future__ import annotations

from typing import Any

from memleash_responder.core.access import Role
from memleash_responder.core.mutes import mute_in_force
from memleash_responder.usecases.operator import Operator, known_host
from memleash_responder.usecases.services import Services
from memleash_responder.web.api.models import TEXT, TIME, every, ref, thing
from memleash_responder.web.api.shapes import mute_json
from memleash_responder.web.api.table import Answer, Operation, Routes
from memleash_responder.web.request_checks import caller

TAG = "mutes"

MAINTENANCE = "maintenance"
"""The inventory's label of hosts that are not pinged while its value is ``true``."""


def add_mutes(routes: Routes, services: Services, operator: Operator) -> None:
    """Add the operations about mutes, and HTTP SD for pings."""
    _add_reading(routes, services)
    _add_ending(routes, operator)
    _add_discovery(routes, services)


def _add_reading(routes: Routes, services: Services) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/hosts/{host}/mute",
            "Whether a host's pings are muted, for pingers that are not Prometheus.",
            TAG,
            Role.READ,
            {200: Answer("Its mute.", ref("Mute"))},
            problems=(404,),
        )
    )
    def one(host: str) -> dict[str, Any]:
        known_host(services, host)
        claims = services.memory.mutes.of_host(host)  # read once, for the whole answer
        return mute_json(mute_in_force(claims, services.clock.now()))

    muted = thing(host=TEXT, muted={"const": True}, until=TIME, reason=TEXT)

    @routes.add(
        Operation(
            "GET",
            "/api/v1/mutes",
            "The hosts that are muted now.",
            TAG,
            Role.READ,
            {200: Answer("All of them.", thing(mutes=every(muted)))},
        )
    )
    def every_mute() -> dict[str, Any]:
        return {"mutes": mutes_json(services)}


def _add_ending(routes: Routes, operator: Operator) -> None:
    @routes.add(
        Operation(
            "DELETE",
            "/api/v1/mutes/{host}",
            "End a host's mute; it stays ended until the agent was idle once.",
            TAG,
            Role.OPERATE,
            {204: Answer("It is not muted now.")},
            problems=(404,),
        )
    )
    def end(host: str) -> tuple[str, int]:
        operator.unmute(host, caller().name)
        return "", 204


def _add_discovery(routes: Routes, services: Services) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/sd/ping-targets",
            "Prometheus HTTP SD: the hosts to ping, without those muted or under maintenance.",
            TAG,
            Role.READ,
            {200: Answer("Target groups.", every(ref("PingTarget")))},
        )
    )
    def ping_targets() -> list[dict[str, Any]]:
        now = services.clock.now()
        claims = services.memory.mutes.all()
        return [
            {"targets": [host.ssh_address], "labels": dict(host.labels)}
            for name, host in services.outside.inventory.hosts().items()
            if host.labels.get(MAINTENANCE) != "true"
            and mute_in_force(claims.get(name, ()), now) is None
        ]


def mutes_json(services: Services) -> list[dict[str, Any]]:
    """Return the mutes in force."""
    now = services.clock.now()
    in_force = {
        host: mute_in_force(claims, now) for host, claims in services.memory.mutes.all().items()
    }
    return [{"host": host, **mute_json(mute)} for host, mute in sorted(in_force.items()) if mute]
