"""The API for people and programs: hosts, restarts, explanations, switches."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from responder.adapters.database.requests import Restart
from responder.core.facts import AgentFacts
from responder.core.outcomes import HostState
from responder.core.storms import IGNORED, storm_reason
from responder.usecases.admission import Admission
from responder.usecases.explain import explain
from responder.usecases.recovery import reconnect
from responder.usecases.services import PAUSED, STORM, Services
from responder.usecases.situation import read_agent
from responder.web.problems import Problem

PERSON = "api"


def api(services: Services, admission: Admission) -> Blueprint:
    """Return the routes below ``/api/v1`` that are not about mutes."""
    blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
    _hosts(blueprint, services)
    _restarts(blueprint, services, admission)
    _switches(blueprint, services)
    return blueprint


def _hosts(blueprint: Blueprint, services: Services) -> None:
    @blueprint.get("/hosts")
    def hosts() -> dict[str, Any]:
        records = services.memory.hosts.all()
        names = sorted(services.outside.inventory.hosts())
        states = {name: records[name].state for name in names if name in records}
        return {
            "hosts": [
                {"host": name, "state": states.get(name, HostState.CONNECTED)} for name in names
            ]
        }

    @blueprint.get("/hosts/<host>")
    def host(host: str) -> dict[str, Any]:
        known = services.outside.inventory.get(host)
        if known is None:
            raise Problem(404, "Unknown host", f"{host!r} is not in the inventory")
        agents: dict[str, Any] = {}
        for agent in services.settings.agents:
            facts = read_agent(services, known, agent)
            agents[agent] = (
                dataclasses.asdict(facts)
                if isinstance(facts, AgentFacts)
                else {"unknown": facts.why}
            )
        state = services.memory.hosts.get(host).state
        return {"host": host, "state": state, "labels": dict(known.labels), "agents": agents}

    @blueprint.post("/hosts/<host>/reconnect")
    def reconnect_host(host: str) -> dict[str, Any]:
        record = services.memory.hosts.get(host)
        if services.outside.inventory.get(host) is None:
            raise Problem(404, "Unknown host", f"{host!r} is not in the inventory")
        if record.state is not HostState.DISCONNECTED:
            raise Problem(409, "Not disconnected", f"{host} is {record.state}")
        why_not = reconnect(services, record)
        if why_not is not None:
            raise Problem(502, "Not reconnected", why_not)
        return {"host": host, "state": HostState.CONNECTED}

    @blueprint.get("/hosts/<host>/agents/<agent>/explain")
    def explanation(host: str, agent: str) -> dict[str, Any]:
        _known(services, host, agent)
        told = explain(services, host, agent)
        return {
            "host": host,
            "agent": agent,
            "would_restart": told.refusal is None,
            "verdict": told.refusal.outcome if told.refusal else None,
            "reason": told.refusal.reason if told.refusal else None,
            "guards": [
                {
                    "guard": one.guard,
                    "passes": one.refusal is None,
                    "verdict": one.refusal.outcome if one.refusal else None,
                    "reason": one.refusal.reason if one.refusal else None,
                }
                for one in told.verdicts
            ],
            "facts": told.facts,
        }


def _restarts(blueprint: Blueprint, services: Services, admission: Admission) -> None:
    @blueprint.get("/restarts")
    def restarts() -> dict[str, Any]:
        found = services.memory.requests.page(
            host=request.args.get("host"),
            agent=request.args.get("agent"),
            outcome=request.args.get("outcome"),
            limit=min(request.args.get("limit", 100, type=int), 1000),
            offset=max(request.args.get("offset", 0, type=int), 0),
        )
        return {"restarts": [restart_json(one) for one in found]}

    @blueprint.get("/restarts/<restart_id>")
    def restart(restart_id: str) -> dict[str, Any]:
        return restart_json(_restart(services, restart_id))

    @blueprint.post("/restarts")
    def ask() -> tuple[dict[str, Any], int]:
        body = request.get_json()
        host, agent, forced = _asked(body)
        _known(services, host, agent)
        opened = admission.ask_for_person(host, agent, PERSON, forced=forced)
        admission.consider(opened.id)
        return restart_json(_restart(services, opened.id)), 202

    @blueprint.post("/restarts/<restart_id>/<any(approve, deny):word>")
    def decide(restart_id: str, word: str) -> dict[str, Any]:
        _restart(services, restart_id)
        decided = (admission.approve if word == "approve" else admission.deny)(restart_id, PERSON)
        if not decided:
            raise Problem(409, "Not waiting", "the request does not wait for an approval")
        return restart_json(_restart(services, restart_id))


def _switches(blueprint: Blueprint, services: Services) -> None:
    @blueprint.post("/pause")
    def pause() -> dict[str, Any]:
        services.memory.flags.set(PAUSED, "yes", PERSON, services.clock.now())
        return {"paused": True}

    @blueprint.post("/resume")
    def resume() -> dict[str, Any]:
        now = services.clock.now()
        services.memory.flags.set(PAUSED, "", PERSON, now)
        if storm_reason(services.memory.flags.all().get(STORM, ("",))[0]) is not None:
            services.memory.flags.set(STORM, IGNORED, PERSON, now)
        return {"paused": False}

    @blueprint.delete("/quarantine/<host>/<agent>")
    def clear(host: str, agent: str) -> tuple[str, int]:
        _known(services, host, agent)
        if not services.memory.quarantine.clear(host, agent):
            raise Problem(404, "Not quarantined", f"{agent} on {host} is not quarantined")
        return "", 204


def _asked(body: object) -> tuple[str, str, bool]:
    if not isinstance(body, dict):
        raise Problem(400, "Bad request", "the body must be a JSON object")
    unknown = body.keys() - {"host", "agent", "force"}
    if unknown:
        raise Problem(400, "Bad request", f"unknown {sorted(unknown)}; allowed: host, agent, force")
    host, agent, forced = body.get("host"), body.get("agent"), body.get("force", False)
    if not isinstance(host, str) or not isinstance(agent, str):
        raise Problem(400, "Bad request", "host and agent must be text")
    if not isinstance(forced, bool):
        raise Problem(400, "Bad request", "force must be true or false")
    return host, agent, forced


def _known(services: Services, host: str, agent: str) -> None:
    if services.outside.inventory.get(host) is None:
        raise Problem(404, "Unknown host", f"{host!r} is not in the inventory")
    if agent not in services.settings.agents:
        raise Problem(404, "Unknown agent", f"{agent!r} is not in the configuration")


def _restart(services: Services, restart_id: str) -> Restart:
    restart = services.memory.requests.get(restart_id)
    if restart is None:
        raise Problem(404, "Unknown restart", f"there is no restart {restart_id!r}")
    return restart


def restart_json(restart: Restart) -> dict[str, Any]:
    """Return a request as the API shows it: times as RFC 3339."""
    shown = dataclasses.asdict(restart)
    sent = shown.pop("command_sent")
    shown["command_sent_at"] = sent["at"] if sent else None
    for name in ("requested_at", "alert_started_at", "command_sent_at", "finished_at"):
        if shown[name] is not None:
            moment = datetime.fromtimestamp(shown[name], tz=UTC)
            shown[name] = moment.isoformat().replace("+00:00", "Z")
    return shown
