"""``/-/healthy``: the process lives. ``/-/ready``: it can store what it is told."""

from __future__ import annotations

from flask import Blueprint, Response

from memleash_responder.usecases.services import Services
from memleash_responder.web.api.table import restricted
from memleash_responder.web.responses import problem


def health(services: Services) -> Blueprint:
    """Return the health routes."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/-/healthy")
    @restricted(None)
    def healthy() -> Response:
        return Response("memleash-responder is healthy.\n", content_type="text/plain")

    @blueprint.get("/-/ready")
    @restricted(None)
    def ready() -> Response:
        unready = services.memory.database.writable()
        if unready is not None:
            return problem(503, "Not ready", unready)
        return Response("memleash-responder is ready.\n", content_type="text/plain")

    return blueprint
