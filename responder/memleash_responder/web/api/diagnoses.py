"""Diagnoses: asking for one, and what became of those that were asked for."""

from __future__ import annotations

from typing import Any

from flask import request

from memleash_responder.adapters.database.diagnoses import Diagnosis
from memleash_responder.core.access import Role
from memleash_responder.usecases.operator import Operator, known_diagnosis
from memleash_responder.usecases.services import Services
from memleash_responder.web.api.models import page, ref
from memleash_responder.web.api.parameters import iso, label, paging
from memleash_responder.web.api.shapes import page_json
from memleash_responder.web.api.table import Answer, Operation, Routes
from memleash_responder.web.request_checks import caller
from memleash_responder.web.responses import Problem

TAG = "diagnostics"


def add_diagnoses(routes: Routes, services: Services, operator: Operator) -> None:
    """Add the operations about diagnoses."""
    _add_history(routes, services)

    @routes.add(
        Operation(
            "POST",
            "/api/v1/diagnoses",
            "Ask for a diagnosis, again for the same process too, or join the one under way.",
            TAG,
            Role.OPERATE,
            {202: Answer("The diagnosis; follow its step and its outcome.", ref("Diagnosis"))},
            body=ref("DiagnosisRequest"),
            problems=(404, 409),
        )
    )
    def ask() -> tuple[dict[str, Any], int, dict[str, str]]:
        host, agent = _asked(request.get_json())
        opened = operator.diagnose(host, agent, caller().name)
        return diagnosis_json(opened), 202, {"Location": f"/api/v1/diagnoses/{opened.id}"}


def _add_history(routes: Routes, services: Services) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/diagnoses",
            "Diagnoses, the newest first: those that go on, and how the others ended.",
            TAG,
            Role.READ,
            {200: Answer("One page.", page("diagnoses", ref("Diagnosis")))},
            query=(
                label("host", "Only of this host."),
                label("agent", "Only of this agent."),
                *paging(),
            ),
        )
    )
    def diagnoses(host: str | None, agent: str | None, limit: int, offset: int) -> dict[str, Any]:
        found = services.memory.diagnoses.page(host, agent, limit=limit + 1, offset=offset)
        return page_json("diagnoses", [diagnosis_json(one) for one in found], limit, offset)

    @routes.add(
        Operation(
            "GET",
            "/api/v1/diagnoses/{id}",
            "One diagnosis: where it is, or how it ended.",
            TAG,
            Role.READ,
            {200: Answer("The diagnosis.", ref("Diagnosis"))},
            problems=(404,),
        )
    )
    def diagnosis(id: str) -> dict[str, Any]:  # noqa: A002 - the parameter's public name
        return diagnosis_json(known_diagnosis(services, id))


def diagnosis_json(one: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as the API shows it; ``report`` is the time in its report's path."""
    return {
        "id": one.id,
        "host": one.host,
        "agent": one.agent,
        "requested_at": iso(one.requested_at),
        "requested_by": one.requested_by,
        "step": one.step,
        "rounds": one.rounds,
        "interval_seconds": one.interval_seconds,
        "pace": one.pace or None,
        "outcome": one.outcome,
        "reason": one.reason,
        "report": one.artifact or None,
        "finished_at": iso(one.finished_at),
    }


def _asked(body: object) -> tuple[str, str]:
    if not isinstance(body, dict):
        raise Problem(400, "Bad request", "the body must be a JSON object")
    unknown = sorted(body.keys() - {"host", "agent"})
    if unknown:
        raise Problem(400, "Bad request", f"unknown {unknown}; allowed: host, agent")
    host, agent = body.get("host"), body.get("agent")
    if not isinstance(host, str) or not isinstance(agent, str):
        raise Problem(400, "Bad request", "host and agent must be text")
    return host, agent
