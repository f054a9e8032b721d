"""Diagnoses: asking for one, and what became of those that were asked for."""

from __future__ import annotations

from memleash_responder.core.access import Role
from memleash_responder.usecases.operator import Operator, known_diagnosis
from memleash_responder.usecases.services import Services
from memleash_responder.web.api import models
from memleash_responder.web.api.parameters import label, paging
from memleash_responder.web.api.table import Answer, Operation, Routes
from memleash_responder.web.request_checks import caller

TAG = "diagnoses"


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
            {202: Answer("The diagnosis; follow its step and its outcome.", models.Diagnosis)},
            body=models.DiagnosisRequest,
            problems=(404, 409),
        )
    )
    def ask(asked: models.DiagnosisRequest) -> tuple[models.Diagnosis, int, dict[str, str]]:
        opened = models.Diagnosis.of(operator.diagnose(asked.host, asked.agent, caller().name))
        return opened, 202, {"Location": f"/api/v1/diagnoses/{opened.id}"}


def _add_history(routes: Routes, services: Services) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/diagnoses",
            "Diagnoses, the newest first: those that go on, and how the others ended.",
            TAG,
            Role.READ,
            {200: Answer("One page.", models.DiagnosisPage)},
            query=(
                label("host", "Only of this host."),
                label("agent", "Only of this agent."),
                *paging(),
            ),
        )
    )
    def diagnoses(
        host: str | None, agent: str | None, limit: int, offset: int
    ) -> models.DiagnosisPage:
        rows = services.tables.diagnoses.page(host, agent, limit=limit + 1, offset=offset)
        found = [models.Diagnosis.of(row) for row in rows]
        return models.DiagnosisPage(*models.cut(found, limit, offset))

    @routes.add(
        Operation(
            "GET",
            "/api/v1/diagnoses/{id}",
            "One diagnosis: where it is, or how it ended.",
            TAG,
            Role.READ,
            {200: Answer("The diagnosis.", models.Diagnosis)},
            problems=(404,),
        )
    )
    def diagnosis(id: str) -> models.Diagnosis:  # noqa: A002 - the parameter's public name
        return models.Diagnosis.of(known_diagnosis(services, id))
