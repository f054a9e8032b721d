"""``POST /-/reload``: read the configuration again, as Prometheus's components do."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response

from memleash_responder.core.access import Role
from memleash_responder.web.api.table import restricted
from memleash_responder.web.responses import Problem
from memleash_toolkit.settings import ConfigError


def reloading(reload: Callable[[], None]) -> Blueprint:
    """Return the route; ``reload`` raises ConfigError when the file cannot be used."""
    blueprint = Blueprint("reloading", __name__)

    @blueprint.post("/-/reload")
    @restricted(Role.OPERATE)
    def reload_configuration() -> Response:
        try:
            reload()
        except ConfigError as error:
            raise Problem(400, "Configuration not reloaded", str(error)) from error
        return Response("reloaded\n", content_type="text/plain")

    return blueprint
