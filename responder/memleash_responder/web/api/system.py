"""The responder as a whole: status, pause, resume, quarantine; health and reload.

Health and reload have the addresses that Prometheus's components have, outside of the API.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from flask import Blueprint, Response

from memleash_responder.core.access import Role
from memleash_responder.core.pauses import holding
from memleash_responder.usecases import overview
from memleash_responder.usecases.host_states import known_hosts
from memleash_responder.usecases.operator import Operator
from memleash_responder.usecases.services import Services
from memleash_responder.web.api import models
from memleash_responder.web.api.json_schema import Keyword
from memleash_responder.web.api.parameters import parse_end, parse_name, parse_reason
from memleash_responder.web.api.table import Answer, Operation, Routes, restricted
from memleash_responder.web.request_checks import caller
from memleash_responder.web.responses import Problem, problem
from memleash_toolkit.settings import ConfigError

TAG = "switches"


def add_system(routes: Routes, services: Services, operator: Operator) -> None:
    """Add the operations about the responder as a whole."""
    _add_status(routes, services)
    _add_pause(routes, services, operator)
    _add_resume(routes, services, operator)
    _add_quarantine(routes, services, operator)


def _add_status(routes: Routes, services: Services) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/status",
            "Whether restarts are allowed now, and what needs a person.",
            TAG,
            Role.READ,
            {200: Answer("The state of the whole.", overview.Status)},
        )
    )
    def status() -> overview.Status:
        return overview.status(services, known_hosts(services))


def _add_pause(routes: Routes, services: Services, operator: Operator) -> None:
    @routes.add(
        Operation(
            "POST",
            "/api/v1/pause",
            "Stop restarting, within a second, until the pause is resumed or ends by itself.",
            TAG,
            Role.OPERATE,
            {200: Answer("Every pause that holds now.", models.Switched)},
            body=Annotated[models.PauseRequest, Keyword("not", {"required": ["until", "for"]})],
            problems=(409,),
        )
    )
    def pause(asked: models.PauseRequest) -> models.Switched:
        try:
            name, reason = parse_name(asked.name), parse_reason(asked.reason)
            until = parse_end(asked.until, asked.for_, services.clock.now())
        except ValueError as error:
            raise Problem(400, "Bad request", str(error)) from error
        operator.pause(caller().name, name, reason, until)
        return _switched(services)


def _add_resume(routes: Routes, services: Services, operator: Operator) -> None:
    @routes.add(
        Operation(
            "POST",
            "/api/v1/resume",
            "End one pause; without a name the default one, and restart through a storm, too.",
            TAG,
            Role.OPERATE,
            {200: Answer("Every pause that holds still.", models.Switched)},
            body=models.ResumeRequest,
            problems=(404,),
        )
    )
    def resume(asked: models.ResumeRequest) -> models.Switched:
        try:
            name = parse_name(asked.name)
        except ValueError as error:
            raise Problem(400, "Bad request", str(error)) from error
        operator.resume(caller().name, name)
        return _switched(services)


def _switched(services: Services) -> models.Switched:
    pauses = holding(services.tables.pauses.all(), services.clock.now())
    return models.Switched(bool(pauses), pauses)


def _add_quarantine(routes: Routes, services: Services, operator: Operator) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/quarantine",
            "Agents that a restart did not help.",
            TAG,
            Role.READ,
            {200: Answer("All of them.", models.QuarantineList)},
        )
    )
    def quarantine() -> models.QuarantineList:
        return models.QuarantineList(overview.quarantined(services))

    @routes.add(
        Operation(
            "DELETE",
            "/api/v1/quarantine/{host}/{agent}",
            "Allow an agent to be restarted again.",
            TAG,
            Role.OPERATE,
            {204: Answer("It is cleared.")},
            problems=(404,),
        )
    )
    def clear(host: str, agent: str) -> tuple[str, int]:
        operator.clear_quarantine(host, agent, caller().name)
        return "", 204


def health_and_reload(services: Services, reload: Callable[[], None]) -> Blueprint:
    """Return their routes; ``reload`` raises ConfigError when the file cannot be used."""
    blueprint = Blueprint("system", __name__)

    @blueprint.get("/-/healthy")
    @restricted(None)
    def healthy() -> Response:
        return Response("memleash-responder is healthy.\n", content_type="text/plain")

    @blueprint.get("/-/ready")
    @restricted(None)
    def ready() -> Response:
        unready = services.tables.database.writable()
        if unready is not None:
            return problem(503, "Not ready", unready)
        return Response("memleash-responder is ready.\n", content_type="text/plain")

    @blueprint.post("/-/reload")
    @restricted(Role.OPERATE)
    def reload_configuration() -> Response:
        try:
            reload()
        except ConfigError as error:
            raise Problem(400, "Configuration not reloaded", str(error)) from error
        return Response("reloaded\n", content_type="text/plain")

    return blueprint
