"""The API's routes as data: one table serves requests, checks them and makes the OpenAPI document.

An operation says who may call it, what it takes and what it gives; what it does not name is
refused. Views get path and query parameters, and the body, as keyword arguments, already checked,
and return a model.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flask import Flask, request

from memleash_responder.core.access import Role
from memleash_responder.web.api.json_schema import (
    Kind,
    Schema,
    as_json,
    may_be_left_out,
    model_of,
    parse,
)
from memleash_responder.web.responses import Problem

View = Callable[..., Any]

SMALL_BODY_BYTES = 64 * 1024
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """One query parameter."""

    name: str
    description: str
    schema: Schema
    parse: Callable[[str], Any]
    """Raises ValueError that says what it must be."""
    default: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What an operation gives when it succeeds."""

    description: str
    kind: Kind = None
    """What the view returns; None: no body, or a whole response of its own."""
    media_type: str = "application/json"


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table."""

    method: str
    path: str
    """As OpenAPI writes it, ``/api/v1/hosts/{host}``."""
    summary: str
    tag: str
    needs: Role | None
    """The role it takes; None: everybody's."""
    answers: Mapping[int, Answer]
    query: tuple[Query, ...] = ()
    body: Kind = None
    """A model, which the view gets as ``asked``; a schema: the view reads the body by itself.

    A body whose every field has a default may be left out.
    """
    problems: tuple[int, ...] = ()
    """Statuses beside those that every operation may answer."""
    body_bytes: int = SMALL_BODY_BYTES

    @property
    def path_parameters(self) -> list[str]:
        """The names in the path."""
        return _PATH_PARAMETER.findall(self.path)

    @property
    def endpoint(self) -> str:
        """Its one name: Flask's endpoint and OpenAPI's operationId."""
        words = re.findall(r"\w+", self.path.removeprefix("/api/v1"))
        return "_".join([self.method.lower(), *(word.replace("-", "_") for word in words)])


class Routes:
    """The table, filled by the modules that serve parts of the API."""

    def __init__(self) -> None:
        self._table: list[tuple[Operation, View]] = []

    def __iter__(self) -> Iterator[Operation]:
        return (operation for operation, _ in self._table)

    def add(self, operation: Operation) -> Callable[[View], View]:
        """Return a decorator that has a view serve ``operation``."""

        def serve(view: View) -> View:
            self._table.append((operation, view))
            return view

        return serve

    def install(self, app: Flask) -> None:
        """Have ``app`` serve every operation."""
        for operation, view in self._table:
            app.add_url_rule(
                _PATH_PARAMETER.sub(r"<\1>", operation.path),
                endpoint=operation.endpoint,
                view_func=restricted(operation.needs, operation.body_bytes)(
                    _checked(operation, view)
                ),
                methods=[operation.method],
            )


def restricted(needs: Role | None, body_bytes: int = SMALL_BODY_BYTES) -> Callable[[View], View]:
    """Return a decorator that says who may call a view, None: everybody; see request_checks."""

    def mark(view: View) -> View:
        view.needs = needs  # type: ignore[attr-defined]
        view.body_bytes = body_bytes  # type: ignore[attr-defined]
        return view

    return mark


def _checked(operation: Operation, view: View) -> View:
    (answer,) = operation.answers.values()
    model = model_of(operation.body)

    def call(**given: Any) -> Any:
        given |= parse_query(operation.query)
        if model is not None:
            given["asked"] = _parsed_body(model)
        result = view(**given)
        if isinstance(result, tuple):
            return (as_json(answer.kind, result[0]), *result[1:])
        return as_json(answer.kind, result) if answer.kind is not None else result

    return call


def _parsed_body(model: Kind) -> Any:
    empty = may_be_left_out(model) and not request.get_data()
    try:
        return parse(model, {} if empty else request.get_json())
    except ValueError as error:
        raise Problem(400, "Bad request", str(error)) from error


def parse_query(parameters: tuple[Query, ...], *, empty_is_absent: bool = False) -> dict[str, Any]:
    """Return the request's query parameters, checked. Raises Problem 400.

    ``empty_is_absent``: for the pages, whose forms send every field, filled in or not.
    """
    known = {parameter.name for parameter in parameters}
    for name, values in request.args.lists():
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            raise Problem(400, "Bad request", f"unknown parameter {name!r}; allowed: {allowed}")
        if len(values) > 1:
            raise Problem(400, "Bad request", f"{name} is given more than once")
    absent = (None, "") if empty_is_absent else (None,)
    return {parameter.name: _parsed(parameter, absent) for parameter in parameters}


def _parsed(parameter: Query, absent: tuple[str | None, ...]) -> Any:
    text = request.args.get(parameter.name)
    if text in absent or text is None:
        return parameter.default
    try:
        return parameter.parse(text)
    except ValueError as error:
        raise Problem(400, "Bad request", f"{parameter.name}: {text[:80]!r} {error}") from error
