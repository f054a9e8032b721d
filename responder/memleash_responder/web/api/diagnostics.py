"""Diagnostics: the reports that were fetched from hosts, listed and downloaded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Response

from memleash_responder.adapters.reports import Report
from memleash_responder.core.access import Role
from memleash_responder.usecases.services import Services
from memleash_responder.web.api.models import page, ref
from memleash_responder.web.api.parameters import iso, label, paging
from memleash_responder.web.api.shapes import page_json
from memleash_responder.web.api.table import Answer, Operation, Routes
from memleash_responder.web.responses import Problem

TAG = "diagnostics"
_TIME = "%Y%m%dT%H%M%SZ"
_ARCHIVE = {"type": "string", "contentMediaType": "application/gzip"}


def add_diagnostics(routes: Routes, services: Services) -> None:
    """Add the operations about diagnostics."""

    @routes.add(
        Operation(
            "GET",
            "/api/v1/diagnostics",
            "The reports there are, the newest first.",
            TAG,
            Role.READ,
            {200: Answer("One page.", page("diagnostics", ref("Diagnostic")))},
            query=(
                label("host", "Only of this host."),
                label("agent", "Only of this agent."),
                *paging(),
            ),
        )
    )
    def diagnostics(host: str | None, agent: str | None, limit: int, offset: int) -> dict[str, Any]:
        found = services.outside.reports.all(host, agent)
        shown = [diagnostic_json(one) for one in found[offset : offset + limit + 1]]
        return page_json("diagnostics", shown, limit, offset)

    @routes.add(
        Operation(
            "GET",
            "/api/v1/diagnostics/{host}/{agent}/{time}",
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


def diagnostic_json(one: Report) -> dict[str, Any]:
    """Return a report as the API lists it."""
    taken_at = datetime.strptime(one.time, _TIME).replace(tzinfo=UTC).timestamp()
    return {
        "host": one.host,
        "agent": one.agent,
        "time": one.time,
        "taken_at": iso(taken_at),
        "size_bytes": one.size_bytes,
    }
