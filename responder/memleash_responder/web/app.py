"""The Flask application, put together from the API's table and the pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from memleash_responder.usecases.intake import Intake
from memleash_responder.usecases.operator import Operator
from memleash_responder.usecases.readings import FleetReader
from memleash_responder.usecases.services import Services
from memleash_responder.web.api.alerts import add_alerts
from memleash_responder.web.api.diagnoses import add_diagnoses
from memleash_responder.web.api.hosts import add_hosts
from memleash_responder.web.api.mutes import add_mutes
from memleash_responder.web.api.openapi import add_openapi
from memleash_responder.web.api.reports import add_reports
from memleash_responder.web.api.restarts import add_restarts
from memleash_responder.web.api.system import add_system, health_and_reload
from memleash_responder.web.api.table import Routes
from memleash_responder.web.authentication import Gate
from memleash_responder.web.metrics import StateCollector, metrics
from memleash_responder.web.pages.buttons import Forms, buttons
from memleash_responder.web.pages.views import pages
from memleash_responder.web.request_checks import protect
from memleash_responder.web.responses import add_etags, handle_problems
from memleash_toolkit import documents


class _Json(DefaultJSONProvider):
    """What is sent keeps the order it was made in; what comes has a depth."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> object:
        """Return what ``s`` holds. Raises ValueError, which Flask answers with 400."""
        del kwargs
        return documents.parse_json(s)


def create_app(
    services: Services,
    intake: Intake,
    operator: Operator,
    reload: Callable[[], None],
    gate: Gate,
    reader: FleetReader,
) -> Flask:
    """Return the application of one responder process."""
    app = Flask("memleash_responder", static_folder=None, template_folder="web/pages/templates")
    app.config["MAX_CONTENT_LENGTH"] = services.settings.webhook.max_body_bytes
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.json = _Json(app)
    protect(app, services, gate)
    add_etags(app)
    handle_problems(app)
    services.telemetry.registry.register(StateCollector(services))
    app.register_blueprint(health_and_reload(services, reload))
    app.register_blueprint(metrics(services.telemetry.registry))
    forms = Forms(services)
    app.register_blueprint(pages(services, reader, forms))
    app.register_blueprint(buttons(services, operator, forms))
    routes_of(services, intake, operator, reader).install(app)
    return app


def routes_of(
    services: Services, intake: Intake, operator: Operator, reader: FleetReader
) -> Routes:
    """Return the API's table."""
    routes = Routes()
    add_alerts(routes, services, intake)
    add_hosts(routes, services, operator, reader)
    add_restarts(routes, services, operator)
    add_mutes(routes, services, operator)
    add_system(routes, services, operator)
    add_diagnoses(routes, services, operator)
    add_reports(routes, services)
    add_openapi(routes)
    return routes
