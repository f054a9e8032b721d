"""The Flask application, put together from the API's table and the pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from memleash_responder.usecases.intake import Intake
from memleash_responder.usecases.services import Services
from memleash_responder.web.acts import Acts
from memleash_responder.web.api.alerts import add_alerts
from memleash_responder.web.api.diagnoses import add_diagnoses
from memleash_responder.web.api.diagnostics import add_diagnostics
from memleash_responder.web.api.hosts import add_hosts
from memleash_responder.web.api.mutes import add_mutes
from memleash_responder.web.api.restarts import add_restarts
from memleash_responder.web.api.switches import add_switches
from memleash_responder.web.conditional import add_etags
from memleash_responder.web.deeds import deeds
from memleash_responder.web.fleet import FleetReader
from memleash_responder.web.forms import Forms
from memleash_responder.web.health import health
from memleash_responder.web.identity import Gate
from memleash_responder.web.metrics import StateCollector, metrics
from memleash_responder.web.openapi import add_openapi
from memleash_responder.web.pages import pages
from memleash_responder.web.problems import handle_problems
from memleash_responder.web.protection import protect
from memleash_responder.web.reloading import reloading
from memleash_responder.web.routes import Routes
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
    acts: Acts,
    reload: Callable[[], None],
    gate: Gate,
) -> Flask:
    """Return the application of one responder process."""
    app = Flask("responder", static_folder=None, template_folder="web/templates")
    app.config["MAX_CONTENT_LENGTH"] = services.settings.webhook.max_body_bytes
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.json = _Json(app)
    reader = FleetReader(services)
    protect(app, services, gate)
    add_etags(app)
    handle_problems(app)
    services.telemetry.registry.register(StateCollector(services))
    app.register_blueprint(health(services))
    app.register_blueprint(metrics(services.telemetry.registry))
    app.register_blueprint(reloading(reload))
    forms = Forms(services)
    app.register_blueprint(pages(services, reader, forms))
    app.register_blueprint(deeds(services, acts, forms))
    routes_of(services, intake, acts, reader).install(app)
    return app


def routes_of(services: Services, intake: Intake, acts: Acts, reader: FleetReader) -> Routes:
    """Return the API's table."""
    routes = Routes()
    add_alerts(routes, services, intake)
    add_hosts(routes, services, acts, reader)
    add_restarts(routes, services, acts)
    add_mutes(routes, services, acts)
    add_switches(routes, services, acts)
    add_diagnoses(routes, services, acts)
    add_diagnostics(routes, services)
    add_openapi(routes)
    return routes
