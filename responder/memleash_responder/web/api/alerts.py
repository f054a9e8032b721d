"""Alerts: Alertmanager's webhook, which answers 2xx only after what was told is stored, and the
record of all that was ever told, with the word that some were refused with.
"""

from __future__ import annotations

from typing import Any

from flask import Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from memleash_responder.core.access import Role
from memleash_responder.core.alerts import PayloadError
from memleash_responder.core.outcomes import Outcome
from memleash_responder.errors import BacklogFull, DatabaseUnavailable
from memleash_responder.usecases.intake import Intake
from memleash_responder.usecases.services import Services
from memleash_responder.web.api import models
from memleash_responder.web.api.parameters import label, paging, word
from memleash_responder.web.api.table import Answer, Operation, Routes

TAG = "alerts"

NOTIFICATION = {
    "type": "object",
    "description": "Alertmanager's webhook payload, version 4. Unknown fields are accepted.",
    "properties": {
        "version": {"const": "4"},
        "truncatedAlerts": {"type": "integer", "minimum": 0},
        "alerts": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "status": {"enum": ["firing", "resolved"]},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "startsAt": {"type": "string", "format": "date-time"},
                    "fingerprint": {"type": "string", "pattern": "^[!-~]{0,128}$"},
                },
                "required": ["status", "labels", "startsAt"],
            },
        },
    },
    "required": ["alerts"],
}
"""Alertmanager's to say, and read by core.alerts."""


def add_alerts(routes: Routes, services: Services, intake: Intake) -> None:
    """Add the operations about alerts."""
    answers = services.telemetry.notifications

    @routes.add(
        Operation(
            "POST",
            "/api/v1/alertmanager",
            "Alertmanager's webhook: stored durably, then answered; never waits for an action.",
            TAG,
            Role.WEBHOOK,
            {202: Answer("Stored.")},
            body=NOTIFICATION,
            problems=(503,),
            body_bytes=services.settings.webhook.max_body_bytes,
        )
    )
    def alertmanager() -> Response:
        try:
            intake.accept(request.get_data(cache=False))
        except (PayloadError, RequestEntityTooLarge):
            answers.labels("refused").inc()
            raise
        except (BacklogFull, DatabaseUnavailable):
            answers.labels("unavailable").inc()
            raise
        answers.labels("stored").inc()
        return Response(status=202)

    @routes.add(
        Operation(
            "GET",
            "/api/v1/alerts",
            "Every alert that was told, the last told first, with the word it was refused with.",
            TAG,
            Role.READ,
            {200: Answer("One page of the record.", models.AlertPage)},
            query=(
                label("host", "Only with this host label, known or not."),
                word(
                    "refused",
                    "Only those that were refused with this word.",
                    [Outcome.UNKNOWN_HOST, Outcome.UNKNOWN_AGENT],
                ),
                word("status", "Only those firing, or resolved.", ["firing", "resolved"]),
                *paging(),
            ),
        )
    )
    def alerts(limit: int, offset: int, **narrowed: Any) -> models.AlertPage:
        rows = services.tables.alerts.page(limit=limit + 1, offset=offset, **narrowed)
        found = [models.Alert.of(row) for row in rows]
        return models.AlertPage(*models.cut(found, limit, offset))
