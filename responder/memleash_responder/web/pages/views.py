"""The status page and its subpages: server-rendered, of use without JavaScript."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, g, render_template, send_from_directory

from memleash_responder.adapters.database.diagnoses import Diagnosis
from memleash_responder.adapters.database.hosts import HostRecord
from memleash_responder.core.access import Role
from memleash_responder.core.facts import Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.core.mutes import mute_in_force
from memleash_responder.core.outcomes import RESTART_OUTCOMES, Outcome
from memleash_responder.core.pauses import DEFAULT
from memleash_responder.core.restarts import AWAITING_APPROVAL, NOT_BEGUN, Restart
from memleash_responder.usecases import fleet, overview
from memleash_responder.usecases.explain import explain_host
from memleash_responder.usecases.host_states import state_in
from memleash_responder.usecases.memory_history import memory_history
from memleash_responder.usecases.operator import known_host, known_restart
from memleash_responder.usecases.readings import FleetReader, Key, Snapshot, as_reading
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.shown_steps import step_states
from memleash_responder.web.api.hosts import matches
from memleash_responder.web.api.parameters import label, paging, word
from memleash_responder.web.api.restarts import OPEN
from memleash_responder.web.api.table import parse_query, restricted
from memleash_responder.web.pages import filters as wording
from memleash_responder.web.pages.buttons import Forms, seen_of
from memleash_responder.web.pages.plot import Plot, plot

ROWS = 50
RECENT = 8
LIVE_SECONDS, CALM_SECONDS = 2, 5
"""How often a page renews itself while a restart goes on, and while none does."""
HOST_SECONDS = 10
"""A host's page asks its exporter and every controller each time."""

_SHOW = ("over", "busy", "muted", "unknown", *HostState)
SPANS = {"1h": 3600.0, "6h": 6 * 3600.0, "24h": 86400.0, "7d": 7 * 86400.0}
"""How far back a plot of memory may go, in seconds."""
AFTER_SECONDS = 900.0
"""How much of what came after a restart its page shows."""

_HOST_QUERY = (word("range", "How far back the plots go.", SPANS),)
_PAGING = paging(ROWS)
_FLEET_QUERY = (label("search", "Part of a name or label."), word("show", "", _SHOW), *_PAGING)
_HISTORY_QUERY = (
    label("host", "Only of this host."),
    label("agent", "Only of this agent."),
    word("outcome", "", [*RESTART_OUTCOMES, OPEN]),
    *_PAGING,
)
_ALERTS_QUERY = (
    label("host", "Only with this host label."),
    word("refused", "", [Outcome.UNKNOWN_HOST, Outcome.UNKNOWN_AGENT]),
    *_PAGING,
)


def pages(services: Services, reader: FleetReader, forms: Forms) -> Blueprint:
    """Return the routes that people look at; their buttons are in pages.buttons."""
    blueprint = Blueprint("pages", __name__)
    _add_context(blueprint, services, forms)
    _add_fleet(blueprint, services, reader)
    _add_details(blueprint, services)
    _add_history(blueprint, services)

    @blueprint.get("/static/<name>")
    @restricted(None)
    def static(name: str) -> Response:
        return send_from_directory("web/pages/static", name, max_age=0)

    return blueprint


def _add_context(blueprint: Blueprint, services: Services, forms: Forms) -> None:
    @blueprint.app_context_processor
    def context() -> dict[str, Any]:
        who = g.get("caller")
        return {
            "who": who,
            "may_operate": who is not None and Role.OPERATE in who.may,
            "links": services.settings.links,
            "now": services.clock.now(),
            "say": wording,
            "proof": lambda act, *about: forms.sign(
                who.name if who else "", act, seen_of(services, act, *about)
            ),
            "progress": step_states,
            "json": lambda value: json.dumps(value, indent=2, sort_keys=True, default=str),
        }


def _add_fleet(blueprint: Blueprint, services: Services, reader: FleetReader) -> None:
    @blueprint.get("/")
    @restricted(Role.READ)
    def home() -> str:
        asked = parse_query(_FLEET_QUERY, empty_is_absent=True)
        known, loads = fleet.remembered(services), reader.loads()
        inventory = known.hosts.inventory
        wanted = _wanted(services, known, reader, loads.value, asked)
        keys = wanted[asked["offset"] : asked["offset"] + asked["limit"]]
        snapshot = reader.snapshot({host for host, _ in keys})
        opened = services.tables.restarts.all_open()
        going_on = [one for one in opened if one.step != AWAITING_APPROVAL]
        return render_template(
            "home.html",
            asked=asked,
            shows=_SHOW,
            page=_rows(services, known, snapshot, keys),
            total=len(wanted),
            hosts=len(inventory),
            snapshot=snapshot,
            problem=loads.problem or snapshot.problem,
            status=overview.status(services, known.hosts),
            default_pause=DEFAULT,
            approvals=[one for one in opened if one.step == AWAITING_APPROVAL],
            going_on=going_on,
            lost=_lost(known, inventory),
            quarantined=sorted(known.quarantined.items()),
            mutes=_mutes(known),
            recent=services.tables.restart_history.page(limit=RECENT),
            refresh=LIVE_SECONDS if going_on else CALM_SECONDS,
        )


def _add_details(blueprint: Blueprint, services: Services) -> None:
    @blueprint.get("/hosts/<host>")
    @restricted(Role.READ)
    def host(host: str) -> str:
        known_one, span = known_host(services, host), parse_query(_HOST_QUERY)["range"] or "6h"
        explained, known = explain_host(services, known_one), fleet.remembered(services)
        situations = {agent: one.situation for agent, one in explained.items()}
        readings = {
            agent: as_reading(one.agent, one.hard_limit_bytes, known.now)
            for agent, one in situations.items()
        }
        diagnoses = services.tables.diagnoses.page(host, limit=RECENT)
        return render_template(
            "host.html",
            host=known_one,
            span=span,
            spans=SPANS,
            plots={
                agent: _plot(services, host, agent, known.now - SPANS[span], known.now)
                for agent in explained
            },
            record=known.hosts.record(host),
            standing=known.hosts.standing(host),
            maintenance=known.hosts.maintenance.get(host),
            mute=mute_in_force(known.claims.get(host, ()), known.now),
            rows=fleet.rows_of_host(
                services,
                known_one,
                readings,
                known,
                {agent: one.alerts_firing for agent, one in situations.items()},
            ),
            explained=explained,
            recent=services.tables.restart_history.page(host=host, limit=RECENT),
            reports=services.outside.reports.all(host)[:RECENT],
            diagnoses=diagnoses,
            diagnosable=_diagnosable(services, diagnoses),
            refresh=HOST_SECONDS,
        )

    @blueprint.get("/restarts/<restart_id>")
    @restricted(Role.READ)
    def restart(restart_id: str) -> str:
        found = known_restart(services, restart_id)
        return render_template(
            "restart.html",
            one=found,
            memory=_plot_about(services, found),
            not_begun=NOT_BEGUN,
            refresh=None if found.outcome else LIVE_SECONDS,
        )


def _add_history(blueprint: Blueprint, services: Services) -> None:
    @blueprint.get("/restarts")
    @restricted(Role.READ)
    def restarts() -> str:
        asked = parse_query(_HISTORY_QUERY, empty_is_absent=True)
        found = services.tables.restart_history.page(**{**asked, "limit": asked["limit"] + 1})
        return render_template(
            "restarts.html",
            asked=asked,
            agents=sorted(services.settings.agents),
            outcomes=[OPEN, *RESTART_OUTCOMES],
            found=found[: asked["limit"]],
            more=len(found) > asked["limit"],
        )

    @blueprint.get("/alerts")
    @restricted(Role.READ)
    def alerts() -> str:
        asked = parse_query(_ALERTS_QUERY, empty_is_absent=True)
        found = services.tables.alerts.page(**{**asked, "limit": asked["limit"] + 1})
        return render_template(
            "alerts.html",
            asked=asked,
            found=found[: asked["limit"]],
            more=len(found) > asked["limit"],
            refusals=[Outcome.UNKNOWN_HOST, Outcome.UNKNOWN_AGENT],
        )


def _plot(services: Services, host: str, agent: str, start: float, end: float) -> Plot | Unknown:
    history = memory_history(services, host, agent, start, end)
    return history if isinstance(history, Unknown) else plot(history)


def _plot_about(services: Services, one: Restart) -> Plot | Unknown:
    """Return the plot of the hours before a restart, and of a while after it."""
    end = min(services.clock.now(), (one.finished_at or services.clock.now()) + AFTER_SECONDS)
    return _plot(services, one.host, one.agent, end - SPANS["6h"], end)


def _diagnosable(services: Services, diagnoses: Sequence[Diagnosis]) -> set[str]:
    """Return the agents that a person may ask a diagnosis of, on a host without an open one."""
    if any(one.outcome is None for one in diagnoses):
        return set()
    agents = services.settings.agents
    return {name for name, settings in agents.items() if settings.diagnose is not None}


def _wanted(
    services: Services,
    known: fleet.Remembered,
    reader: FleetReader,
    loads: Mapping[Key, float],
    asked: Mapping[str, Any],
) -> list[Key]:
    """Return the agents that are asked for, in the order in which they are shown."""
    show, hosts = asked["show"], known.hosts.inventory
    if asked["search"]:
        hosts = {name: one for name, one in hosts.items() if matches(one, asked["search"])}
    if show == "muted":
        hosts = {name: hosts[name] for name, _ in _mutes(known) if name in hosts}
    if show in list(HostState):
        standings = known.hosts.out_of_service()
        hosts = {name: one for name, one in hosts.items() if state_in(standings, name) == show}
    ordered = fleet.in_order(hosts, services.settings.agents, loads)
    if show == "over":
        return [key for key in ordered if loads.get(key, 0.0) > 1]
    if show == "unknown":
        return [key for key in ordered if key not in loads]
    if show == "busy":
        busy = reader.busy().value
        return [key for key in ordered if key in busy]
    return list(ordered)


def _rows(
    services: Services, known: fleet.Remembered, snapshot: Snapshot, keys: Sequence[Key]
) -> list[fleet.Row]:
    hosts = known.hosts.inventory
    return [
        row
        for host, agent in keys
        for row in fleet.rows_of_host(
            services,
            hosts[host],
            snapshot.of_host(hosts[host], [agent]),
            known,
            snapshot.firing,
        )
    ]


def _lost(known: fleet.Remembered, inventory: Any) -> list[HostRecord]:
    return [
        record
        for name, record in sorted(known.hosts.records.items())
        if record.state is HostState.DISCONNECTED
        and known.hosts.state(name) is HostState.DISCONNECTED
        and name in inventory
    ]


def _mutes(known: fleet.Remembered) -> list[tuple[str, Any]]:
    in_force = {host: mute_in_force(claims, known.now) for host, claims in known.claims.items()}
    return [(host, mute) for host, mute in sorted(in_force.items()) if mute is not None]
