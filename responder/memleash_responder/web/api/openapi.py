"""The OpenAPI 3.1 document, written from the same table that serves the requests."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from memleash_responder.core.access import Role
from memleash_responder.web.api.json_schema import (
    Kind,
    components,
    may_be_left_out,
    model_of,
    schema_of,
)
from memleash_responder.web.api.models import Problem
from memleash_responder.web.api.table import Answer, Operation, Routes

_PROBLEMS = {
    400: "The request cannot be understood; the detail names what and why.",
    401: "No credentials, or wrong ones.",
    403: "The caller may not do this, or the request came from another site's page.",
    404: "There is no such thing.",
    405: "The method is not served here.",
    409: "Not in the state that this needs.",
    413: "The body is too large.",
    415: "The body is not JSON by its Content-Type.",
    500: "An unexpected error; see the responder's log.",
    502: "A controller, or the host's exporter, said no or nothing.",
    503: "Nothing can be read or stored now; try again.",
}
_PARAMETERS = {
    "host": "A host of the inventory.",
    "agent": "An agent of the configuration.",
    "controller": "A controller of the configuration.",
    "id": "A request's id.",
    "time": "When a report was taken, as the list gives it.",
}


def document(routes: Routes) -> dict[str, Any]:
    """Return the document of ``routes``."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in routes:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "memleash responder",
            "version": metadata.version("memleash"),
            "summary": "Guarded restarts of leaking agents, and mutes of their hosts' pings.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components(_kinds(routes)),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _kinds(routes: Routes) -> list[Kind]:
    answers = [answer.kind for operation in routes for answer in operation.answers.values()]
    return [Problem, *answers, *(operation.body for operation in routes)]


def add_openapi(routes: Routes) -> None:
    """Add the operation that gives this document."""

    @routes.add(
        Operation(
            "GET",
            "/api/v1/openapi.json",
            "This document.",
            "meta",
            Role.READ,
            {200: Answer("OpenAPI 3.1.", {"type": "object"})},
        )
    )
    def openapi() -> dict[str, Any]:
        return document(routes)


def _operation(operation: Operation) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "operationId": operation.endpoint,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.body is not None:
        content = {"application/json": {"schema": schema_of(operation.body)}}
        model = model_of(operation.body)
        required = model is None or not may_be_left_out(model)
        shown["requestBody"] = {"required": required, "content": content}
    if operation.needs is not None:
        shown["description"] = f"Takes the role {operation.needs}, where access is configured."
        shown["security"] = [{"bearer": []}, {"basic": []}, {}]
    return shown


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    in_path = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PARAMETERS[name],
            "schema": schema_of(str),
        }
        for name in operation.path_parameters
    ]
    in_query = [
        {
            "name": query.name,
            "in": "query",
            "description": query.description,
            "schema": query.schema,
        }
        for query in operation.query
    ]
    return [*in_path, *in_query]


def _responses(operation: Operation) -> dict[str, Any]:
    responses = {str(code): _answer(answer) for code, answer in operation.answers.items()}
    statuses = {400, 403, 500, 503, *operation.problems}
    if operation.needs is not None:
        statuses.add(401)
    if operation.method != "GET":
        statuses.add(413)
    if operation.body is not None:
        statuses.add(415)
    for status in sorted(statuses):
        responses[str(status)] = {
            "description": _PROBLEMS[status],
            "content": {"application/problem+json": {"schema": schema_of(Problem)}},
        }
    return responses


def _answer(answer: Answer) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": answer.description}
    if answer.kind is not None:
        shown["content"] = {answer.media_type: {"schema": schema_of(answer.kind)}}
    return shown
