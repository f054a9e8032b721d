"""The reports that were fetched from hosts, listed and downloaded."""

from __future__ import annotations

from flask import Response

from memleash_responder.core.access import Role
from memleash_responder.usecases.services import Services
from memleash_responder.web.api import models
from memleash_responder.web.api.parameters import label, paging
from memleash_responder.web.api.table import Answer, Operation, Routes
from memleash_responder.web.responses import Problem

TAG = "diagnoses"
_ARCHIVE = {"type": "string", "contentMediaType": "application/gzip"}


def add_reports(routes: Routes, services: Services) -> None:
    """Add the operations about reports."""

    @routes.add(
        Operation(
            "GET",
            "/api/v1/reports",
            "The reports there are, the newest first.",
            TAG,
            Role.READ,
            {200: Answer("One page.", models.ReportPage)},
            query=(
                label("host", "Only of this host."),
                label("agent", "Only of this agent."),
                *paging(),
            ),
        )
    )
    def reports(host: str | None, agent: str | None, limit: int, offset: int) -> models.ReportPage:
        page = services.outside.reports.all(host, agent)[offset : offset + limit + 1]
        found = [models.Report.of(report) for report in page]
        return models.ReportPage(*models.cut(found, limit, offset))

    @routes.add(
        Operation(
            "GET",
            "/api/v1/reports/{host}/{agent}/{time}",
            "One report with all its files.",
            TAG,
            Role.READ,
            {200: Answer("A tar.gz.", _ARCHIVE, "application/gzip")},
            problems=(404,),
        )
    )
    def download(host: str, agent: str, time: str) -> Response:
        found = services.outside.reports.get(host, agent, time)
        if found is None:
            raise Problem(404, "Unknown report", "there is no such report")
        headers = {"Content-Disposition": f'attachment; filename="report-{found.time}.tar.gz"'}
        return Response(found.packed(), headers=headers, content_type="application/gzip")
