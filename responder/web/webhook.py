"""Alertmanager's webhook: 2xx only after what was told is stored, and never after an action."""

from __future__ import annotations

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from responder.core.alerts import PayloadError
from responder.errors import BacklogFull, DatabaseUnavailable
from responder.usecases.intake import Intake
from responder.usecases.services import Services


def webhook(services: Services, intake: Intake) -> Blueprint:
    """Return the route ``POST /api/v1/alertmanager``."""
    blueprint = Blueprint("webhook", __name__)
    answers = services.telemetry.notifications

    @blueprint.post("/api/v1/alertmanager")
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

    return blueprint
