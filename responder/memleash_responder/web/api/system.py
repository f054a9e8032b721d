"""Switches and the state of the whole: status, pause, resume, quarantine."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from memleash_responder.core.access import Role
from memleash_responder.core.mutes import mute_in_force
from memleash_responder.core.outcomes import HostState
from memleash_responder.core.restarts import AWAITING_APPROVAL
from memleash_responder.usecases.operator import RESUMED, Operator
from memleash_responder.usecases.services import PAUSED, Services, standing_storm
from memleash_responder.web.api.models import TRUTH, every, ref, thing
from memleash_responder.web.api.parameters import iso
from memleash_responder.web.api.table import Answer, Operation, Routes
from memleash_responder.web.request_checks import caller

TAG = "switches"


def add_switches(routes: Routes, services: Services, operator: Operator) -> None:
    """Add the operations about the responder as a whole."""
    _add_status(routes, services)
    _add_switch(
        routes, operator, "pause", "Stop restarting; effective within a second.", paused=True
    )
    _add_switch(
        routes, operator, "resume", "Allow restarts again, through a storm too.", paused=False
    )
    _add_quarantine(routes, services, operator)


def _add_status(routes: Routes, services: Services) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/status",
            "Whether restarts are allowed now, and what needs a person.",
            TAG,
            Role.READ,
            {200: Answer("The state of the whole.", ref("Status"))},
        )
    )
    def status() -> dict[str, Any]:
        return status_json(services)


def _add_switch(
    routes: Routes, operator: Operator, word: str, summary: str, *, paused: bool
) -> None:
    @routes.add(
        Operation(
            "POST",
            f"/api/v1/{word}",
            summary,
            TAG,
            Role.OPERATE,
            {200: Answer("Done.", thing(paused=TRUTH))},
        )
    )
    def switch() -> dict[str, Any]:
        (operator.pause if paused else operator.resume)(caller().name)
        return {"paused": paused}


def _add_quarantine(routes: Routes, services: Services, operator: Operator) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/quarantine",
            "Agents that a restart did not help.",
            TAG,
            Role.READ,
            {200: Answer("All of them.", thing(quarantine=every(ref("Quarantine"))))},
        )
    )
    def quarantine() -> dict[str, Any]:
        return {"quarantine": quarantine_json(services)}

    @routes.add(
        Operation(
            "DELETE",
            "/api/v1/quarantine/{host}/{agent}",
            "Allow an agent to be restarted again.",
            TAG,
            Role.OPERATE,
            {204: Answer("It is cleared.")},
            problems=(404,),
        )
    )
    def clear(host: str, agent: str) -> tuple[str, int]:
        operator.clear_quarantine(host, agent, caller().name)
        return "", 204


def quarantine_json(services: Services) -> list[dict[str, Any]]:
    """Return what is quarantined."""
    return [
        {"host": host, "agent": agent, "since": iso(since), "reason": reason}
        for (host, agent), (since, reason) in sorted(services.memory.quarantine.all().items())
    ]


def status_json(services: Services) -> dict[str, Any]:
    """Return the state of the whole."""
    memory, now = services.memory, services.clock.now()
    flags = memory.flags.all()
    changed = flags.get(PAUSED) or flags.get(RESUMED)
    waiting = memory.restarts.all_open()
    known = services.outside.inventory.hosts()
    return {
        "version": metadata.version("memleash"),
        "paused": PAUSED in flags,
        "changed_by": changed[2] if changed else None,
        "changed_at": iso(changed[1]) if changed else None,
        "storm": standing_storm(flags),
        "open_restarts": len(waiting),
        "awaiting_approval": sum(one.step == AWAITING_APPROVAL for one in waiting),
        "muted_hosts": sum(
            mute_in_force(claims, now) is not None for claims in memory.mutes.all().values()
        ),
        "quarantined": len(memory.quarantine.all()),
        "disconnected": [
            name
            for name, record in sorted(memory.hosts.all().items())
            if record.state is HostState.DISCONNECTED and name in known
        ],
    }
