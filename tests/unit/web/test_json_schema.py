"""Typed models and JSON: what each kind of field becomes, and which bodies are taken."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest

from memleash_responder.core.host_states import HostState
from memleash_responder.core.moments import Moment
from memleash_responder.web.api.json_schema import (
    Keyword,
    as_json,
    components,
    may_be_left_out,
    model_of,
    parse,
    schema_of,
)

NOW = 1_800_000_000.0


@dataclasses.dataclass(frozen=True)
class Inner:
    at: Moment


@dataclasses.dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner | None
    several: Sequence[Inner]
    by_name: Mapping[str, Inner]


@dataclasses.dataclass(frozen=True)
class Body:
    host: str
    force: Annotated[bool, Keyword("description", "really")] = False


INNER = {"$ref": "#/components/schemas/Inner"}


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (str, {"type": "string"}),
        (float, {"type": "number"}),
        (Moment, {"type": "string", "format": "date-time"}),
        (Moment | None, {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}),
        (Annotated[int, Keyword("minimum", 0)], {"type": "integer", "minimum": 0}),
        (
            Annotated[int, Keyword("minimum", 0)] | None,
            {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
        ),
        (Literal["a", "b"], {"enum": ["a", "b"]}),
        (
            HostState,
            {
                "type": "string",
                "enum": ["connected", "connecting", "disconnected", "maintenance"],
            },
        ),
        (list[Inner], {"type": "array", "items": INNER}),
        (Mapping[str, Any], {"type": "object"}),
        (Mapping[str, Inner], {"type": "object", "additionalProperties": INNER}),
        ({"const": 1}, {"const": 1}),
    ],
)
def test_each_kind_has_its_schema(kind: Any, schema: Any) -> None:
    assert schema_of(kind) == schema


def test_models_within_models_are_components_that_allow_nothing_else() -> None:
    found = components([list[Outer], None])

    assert list(found) == ["Inner", "Outer"]
    assert found["Inner"] == {
        "type": "object",
        "properties": {"at": {"type": "string", "format": "date-time"}},
        "required": ["at"],
        "additionalProperties": False,
    }


def test_a_field_with_a_default_may_be_left_out() -> None:
    body = components([Body])["Body"]

    assert body["required"] == ["host"]
    force = {"type": "boolean", "description": "really", "default": False}
    assert body["properties"]["force"] == force


def test_a_model_is_plain_json_with_its_times_as_text() -> None:
    shown = as_json(list[Outer], [Outer("a", None, [Inner(NOW)], {"b": Inner(0.0)})])

    assert shown == [
        {
            "name": "a",
            "inner": None,
            "several": [{"at": "2027-01-15T08:00:00Z"}],
            "by_name": {"b": {"at": "1970-01-01T00:00:00Z"}},
        }
    ]


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (None, None),
        (NOW, "2027-01-15T08:00:00Z"),
        (-5.0, "1970-01-01T00:00:00Z"),
        (float("inf"), "9999-12-31T23:59:59Z"),
    ],
)
def test_times_are_written_as_rfc_3339_in_utc(at: float | None, written: str | None) -> None:
    assert as_json(Moment | None, at) == written


def test_a_body_becomes_a_model() -> None:
    assert parse(Body, {"host": "h"}) == Body("h")
    assert parse(Body, {"host": "h", "force": True}) == Body("h", force=True)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ([], "the body must be a JSON object"),
        ({}, "host must be text"),
        ({"host": 1}, "host must be text"),
        ({"host": "h", "force": 1}, "force must be true or false"),
        ({"host": "h", "x": 1}, r"unknown \['x'\]; allowed: host, force"),
    ],
)
def test_any_other_body_is_refused_with_what_it_must_be(raw: object, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}$"):
        parse(Body, raw)


@dataclasses.dataclass(frozen=True)
class Optional:
    name: Annotated[str, Keyword("minLength", 1), Keyword("maxLength", 9)] = "x"
    for_: Annotated[str, Keyword("pattern", "^[0-9]+s$")] | None = None


def test_what_may_be_left_out_has_no_null_and_python_words_are_names() -> None:
    assert components([Optional])["Optional"] == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 9, "default": "x"},
            "for": {"type": "string", "pattern": "^[0-9]+s$"},
        },
        "required": [],
        "additionalProperties": False,
    }
    assert parse(Optional, {}) == Optional()
    assert parse(Optional, {"for": "9s"}) == Optional("x", "9s")
    for odd in ({"for": None}, {"for": 9}, {"name": None}, {"for_": "9s"}):
        with pytest.raises(ValueError, match=r"must be text|unknown"):
            parse(Optional, odd)


def test_a_body_may_be_left_out_when_each_of_its_fields_may() -> None:
    assert may_be_left_out(Optional)
    assert not may_be_left_out(Body)
    assert model_of(Annotated[Optional, Keyword("not", {})]) is Optional
    assert model_of({"type": "object"}) is None
