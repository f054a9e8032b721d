"""Mutes as programs ask for them: one host's, all, and the hosts that may be pinged."""

from __future__ import annotations

from memleash_responder.core.access import Role
from memleash_responder.core.mutes import mute_in_force
from memleash_responder.usecases import overview
from memleash_responder.usecases.host_states import all_claims, known_hosts
from memleash_responder.usecases.operator import Operator, known_host
from memleash_responder.usecases.services import Services
from memleash_responder.web.api import models
from memleash_responder.web.api.table import Answer, Operation, Routes
from memleash_responder.web.request_checks import caller

TAG = "mutes"


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
            {200: Answer("Its mute.", models.Mute)},
            problems=(404,),
        )
    )
    def one(host: str) -> models.Mute:
        known_host(services, host)
        known = known_hosts(services, host)
        claims = all_claims(services, known).get(host, ())
        return models.Mute.of(mute_in_force(claims, known.read_at))

    @routes.add(
        Operation(
            "GET",
            "/api/v1/mutes",
            "The hosts that are muted now.",
            TAG,
            Role.READ,
            {200: Answer("All of them.", models.MuteList)},
        )
    )
    def every_mute() -> models.MuteList:
        return models.MuteList(overview.held_mutes(services, known_hosts(services)))


def _add_ending(routes: Routes, operator: Operator) -> None:
    @routes.add(
        Operation(
            "DELETE",
            "/api/v1/mutes/{host}",
            "End a host's mute; it stays ended until the agent was idle once.",
            TAG,
            Role.OPERATE,
            {204: Answer("It is not muted now.")},
            problems=(404, 409),
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
            {200: Answer("Target groups.", list[overview.PingTarget])},
        )
    )
    def ping_targets() -> list[overview.PingTarget]:
        return overview.ping_targets(services)
