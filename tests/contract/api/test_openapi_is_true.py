"""The OpenAPI document: valid, complete, and what the real server does."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode

from demo.stack.processes import wait_until
from demo.stack.responder_with_peers import Face

ROUTES = {
    "POST /api/v1/alertmanager",
    "GET /api/v1/alerts",
    "GET /api/v1/hosts",
    "GET /api/v1/hosts/{host}",
    "POST /api/v1/hosts/{host}/reconnect",
    "PUT /api/v1/hosts/{host}/maintenance",
    "DELETE /api/v1/hosts/{host}/maintenance",
    "GET /api/v1/hosts/{host}/mute",
    "GET /api/v1/hosts/{host}/agents/{agent}/explain",
    "GET /api/v1/hosts/{host}/controllers/{controller}/check",
    "GET /api/v1/restarts",
    "POST /api/v1/restarts",
    "GET /api/v1/restarts/{id}",
    "POST /api/v1/restarts/{id}/approve",
    "POST /api/v1/restarts/{id}/deny",
    "GET /api/v1/summary",
    "GET /api/v1/mutes",
    "DELETE /api/v1/mutes/{host}",
    "GET /api/v1/sd/ping-targets",
    "GET /api/v1/status",
    "POST /api/v1/pause",
    "POST /api/v1/resume",
    "GET /api/v1/quarantine",
    "DELETE /api/v1/quarantine/{host}/{agent}",
    "DELETE /api/v1/denials/{host}/{agent}",
    "GET /api/v1/diagnoses",
    "GET /api/v1/diagnoses/{id}",
    "POST /api/v1/diagnoses",
    "GET /api/v1/reports",
    "GET /api/v1/reports/{host}/{agent}/{time}",
    "GET /api/v1/openapi.json",
}
TAKES_SOMETHING = {
    "POST /api/v1/alertmanager",
    "POST /api/v1/restarts",
    "POST /api/v1/diagnoses",
    "POST /api/v1/pause",
    "POST /api/v1/resume",
    "GET /api/v1/alerts",
    "GET /api/v1/diagnoses",
    "GET /api/v1/reports",
    "GET /api/v1/hosts",
    "GET /api/v1/summary",
    "GET /api/v1/restarts",
}
"""Routes whose query or body can be wrong; any text is a path's."""


@pytest.fixture(scope="module")
def document(open_face: Face) -> Any:
    return open_face.ask("GET", "/api/v1/openapi.json").json


@pytest.fixture(scope="module")
def api_schema(open_face: Face) -> Any:
    return schemathesis.openapi.from_url(f"{open_face.url}/api/v1/openapi.json")


def test_the_document_is_valid_openapi_3_1(document: Any) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_the_document_names_every_route_and_no_other(document: Any) -> None:
    named = {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }
    assert named == ROUTES


def test_every_operation_has_an_id_of_its_own(document: Any) -> None:
    ids = [one["operationId"] for item in document["paths"].values() for one in item.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("route", "mode"),
    [(route, GenerationMode.POSITIVE) for route in sorted(ROUTES)]
    + [(route, GenerationMode.NEGATIVE) for route in sorted(TAKES_SOMETHING)],
    ids=str,
)
def test_the_server_does_what_the_document_says(
    api_schema: Any, route: str, mode: GenerationMode
) -> None:
    method, path = route.split()

    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=api_schema[path][method].as_strategy(generation_mode=mode))
    def holds(case: Any) -> None:
        case.validate_response(answer_to(case))

    holds()


def answer_to(case: Any) -> Any:
    """Send a request until it is answered other than 503.

    That one says "try again", and is right to when a slow disk holds a write for seconds.
    """

    def ask() -> list[Any]:
        answer = case.call(timeout=60)
        return [] if answer.status_code == 503 else [answer]

    (answer,) = wait_until(f"an answer to {case.method} {case.path}", ask)
    return answer
