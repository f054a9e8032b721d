"""Mutes as programs ask for them: one host's, all, and the hosts that may be pinged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint

from responder.core.mutes import Claim, mute_in_force
from responder.usecases.muting import Muting
from responder.usecases.services import Services
from responder.web.problems import Problem


def mutes(services: Services, muting: Muting) -> Blueprint:
    """Return the routes about mutes, and HTTP SD for pings."""
    blueprint = Blueprint("mutes", __name__)

    @blueprint.get("/api/v1/hosts/<host>/mute")
    def one(host: str) -> dict[str, Any]:
        known(services, host)
        claims = services.memory.mutes.of_host(host)  # read once, for the whole answer
        return mute_json(mute_in_force(claims, services.clock.now()))

    @blueprint.get("/api/v1/mutes")
    def every() -> dict[str, Any]:
        now = services.clock.now()
        in_force = {
            host: mute_in_force(claims, now) for host, claims in services.memory.mutes.all().items()
        }
        return {
            "mutes": [
                {"host": host, **mute_json(mute)} for host, mute in sorted(in_force.items()) if mute
            ]
        }

    @blueprint.delete("/api/v1/mutes/<host>")
    def end(host: str) -> tuple[str, int]:
        known(services, host)
        muting.end(host)
        return "", 204

    @blueprint.get("/api/v1/sd/ping-targets")
    def ping_targets() -> list[dict[str, Any]]:
        now = services.clock.now()
        claims = services.memory.mutes.all()
        return [
            {"targets": [host.ssh_address], "labels": dict(host.labels)}
            for name, host in services.outside.inventory.hosts().items()
            if mute_in_force(claims.get(name, ()), now) is None
        ]

    return blueprint


def known(services: Services, host: str) -> None:
    """Raise Problem 404 unless the inventory has ``host``."""
    if services.outside.inventory.get(host) is None:
        raise Problem(404, "Unknown host", f"{host!r} is not in the inventory")


def mute_json(mute: Claim | None) -> dict[str, Any]:
    """Return a host's mute as the API shows it."""
    if mute is None:
        return {"muted": False, "until": None, "reason": None}
    until = datetime.fromtimestamp(mute.until, tz=UTC).isoformat().replace("+00:00", "Z")
    return {"muted": True, "until": until, "reason": mute.reason}
