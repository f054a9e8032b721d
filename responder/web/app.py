"""The Flask application, put together from its blueprints."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from responder.usecases.admission import Admission
from responder.usecases.intake import Intake
from responder.usecases.muting import Muting
from responder.usecases.services import Services
from responder.web.api import api
from responder.web.health import health
from responder.web.metrics import StateCollector, metrics
from responder.web.mutes import mutes
from responder.web.problems import handle_problems
from responder.web.reloading import reloading
from responder.web.webhook import webhook


def create_app(
    services: Services,
    intake: Intake,
    admission: Admission,
    muting: Muting,
    reload: Callable[[], None],
) -> Flask:
    """Return the application of one responder process."""
    app = Flask("responder.web")
    app.config["MAX_CONTENT_LENGTH"] = services.settings.webhook.max_body_bytes
    handle_problems(app)
    services.telemetry.registry.register(StateCollector(services))
    app.register_blueprint(webhook(services, intake))
    app.register_blueprint(health(services))
    app.register_blueprint(metrics(services.telemetry.registry))
    app.register_blueprint(mutes(services, muting))
    app.register_blueprint(api(services, admission))
    app.register_blueprint(reloading(reload))
    return app
