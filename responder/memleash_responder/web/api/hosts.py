"""Hosts: the fleet's list, one host read afresh, why an agent would not be restarted, reconnect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from memleash_responder.core.access import Role
from memleash_responder.core.facts import Host, Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.core.maintenance import Maintenance
from memleash_responder.usecases import fleet, readings
from memleash_responder.usecases.controller_check import check_controller
from memleash_responder.usecases.explain import explain
from memleash_responder.usecases.host_states import state_in
from memleash_responder.usecases.operator import Operator, known_agent, known_host
from memleash_responder.usecases.services import Services
from memleash_responder.web.api import models
from memleash_responder.web.api.json_schema import Keyword
from memleash_responder.web.api.parameters import label, paging, parse_end, parse_reason, word
from memleash_responder.web.api.table import Answer, Operation, Routes
from memleash_responder.web.request_checks import caller
from memleash_responder.web.responses import Problem

TAG = "hosts"


def add_hosts(
    routes: Routes, services: Services, operator: Operator, reader: readings.FleetReader
) -> None:
    """Add the operations about hosts."""
    _add_fleet(routes, services, reader)
    _add_one(routes, services, operator)
    _add_maintenance(routes, services, operator)
    _add_explanation(routes, services)
    _add_controller_check(routes, services)


def _add_fleet(routes: Routes, services: Services, reader: readings.FleetReader) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/hosts",
            "The fleet: each host's state, mute and agents, as Prometheus last saw them.",
            TAG,
            Role.READ,
            {200: Answer("The hosts by name.", models.HostPage)},
            query=(
                label("search", "Part of a host's name or of a label's value."),
                word("state", "Only hosts in this state.", HostState),
                *paging(1000),
            ),
        )
    )
    def hosts(search: str | None, state: str | None, limit: int, offset: int) -> models.HostPage:
        known, agents = fleet.remembered(services), services.settings.agents
        standings = known.hosts.out_of_service()
        found = [
            host
            for name, host in sorted(known.hosts.inventory.items())
            if matches(host, search) and state in (None, state_in(standings, name))
        ]
        page, next_offset = models.cut(found[offset : offset + limit + 1], limit, offset)
        snapshot = reader.snapshot([host.name for host in page])
        shown = [
            _shown(services, host, snapshot.of_host(host, agents), known, snapshot.firing)
            for host in page
        ]
        return models.HostPage(shown, next_offset)


def _add_one(routes: Routes, services: Services, operator: Operator) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/hosts/{host}",
            "One host, its agents read afresh from its exporter.",
            TAG,
            Role.READ,
            {200: Answer("The host.", models.Host)},
            problems=(404,),
        )
    )
    def one(host: str) -> models.Host:
        return _read_afresh(services, known_host(services, host))

    @routes.add(
        Operation(
            "POST",
            "/api/v1/hosts/{host}/reconnect",
            "Have the controllers take a disconnected host back now.",
            TAG,
            Role.OPERATE,
            {200: Answer("It is connected again.", models.Host)},
            problems=(404, 409, 502),
        )
    )
    def reconnect(host: str) -> models.Host:
        operator.reconnect(host, caller().name)
        return _read_afresh(services, known_host(services, host))


def _add_maintenance(routes: Routes, services: Services, operator: Operator) -> None:
    @routes.add(
        Operation(
            "PUT",
            "/api/v1/hosts/{host}/maintenance",
            "Take a host out of service: it is not pinged, not restarted, not diagnosed.",
            TAG,
            Role.OPERATE,
            {200: Answer("Its maintenance.", Maintenance)},
            body=Annotated[
                models.MaintenanceRequest, Keyword("not", {"required": ["until", "for"]})
            ],
            problems=(404, 409),
        )
    )
    def begin(host: str, asked: models.MaintenanceRequest) -> Maintenance:
        new = new_maintenance(asked.reason, asked.until, asked.for_, services.clock.now())
        operator.begin_maintenance(host, new)
        return new

    @routes.add(
        Operation(
            "DELETE",
            "/api/v1/hosts/{host}/maintenance",
            "Put a host back into service that a person took out of it.",
            TAG,
            Role.OPERATE,
            {204: Answer("No person holds it in maintenance now.")},
            problems=(404, 409),
        )
    )
    def end(host: str) -> tuple[str, int]:
        operator.end_maintenance(host, caller().name)
        return "", 204


def new_maintenance(reason: str, until: str | None, lasts: str | None, now: float) -> Maintenance:
    """Return the maintenance that the caller asks for. Raises Problem 400."""
    if not reason:
        raise Problem(400, "Bad request", "reason must say why, in a few words")
    try:
        reason, end = parse_reason(reason), parse_end(until, lasts, now)
    except ValueError as error:
        raise Problem(400, "Bad request", str(error)) from error
    return Maintenance(caller().name, reason, now, end)


def _add_explanation(routes: Routes, services: Services) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/hosts/{host}/agents/{agent}/explain",
            "Every guard, its verdict now, and the facts behind it, all read afresh.",
            TAG,
            Role.READ,
            {200: Answer("What a request made now would meet.", models.Explanation)},
            problems=(404,),
        )
    )
    def explanation(host: str, agent: str) -> models.Explanation:
        known_agent(services, host, agent)
        return models.Explanation.of(host, agent, explain(services, host, agent))


def _add_controller_check(routes: Routes, services: Services) -> None:
    # As explain, it only asks; so whoever may look may call it.
    @routes.add(
        Operation(
            "GET",
            "/api/v1/hosts/{host}/controllers/{controller}/check",
            "What a controller answers to all that a restart asks it; nothing is changed.",
            TAG,
            Role.READ,
            {200: Answer("What it answers.", models.ControllerCheck)},
            problems=(404,),
        )
    )
    def check(host: str, controller: str) -> models.ControllerCheck:
        findings = check_controller(services, host, controller)
        passes = all(one.passes for one in findings)
        return models.ControllerCheck(host, controller, passes, findings)


def matches(host: Host, search: str | None) -> bool:
    """Whether a person who looks for ``search`` means ``host``."""
    if not search:
        return True
    return any(search.lower() in value.lower() for value in (host.name, *host.labels.values()))


def _read_afresh(services: Services, host: Host) -> models.Host:
    read, firing = readings.read_host(services, host), readings.read_firing_of_all(services)
    return _shown(services, host, read, fleet.remembered(services), firing)


def _shown(
    services: Services,
    host: Host,
    read: Mapping[str, readings.Reading | Unknown],
    known: fleet.Remembered,
    firing: readings.Firing,
) -> models.Host:
    rows = fleet.rows_of_host(services, host, read, known, firing)
    return models.Host.of(host, rows, known)
