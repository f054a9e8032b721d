"""Typed models and JSON: the schema of a model, a model as JSON, and a request's body as a model.

A model is a frozen dataclass, whose fields are text, numbers, truths, moments (unix seconds in
here, RFC 3339 outside), closed sets, ``X | None``, lists, mappings and other models.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from memleash_responder.core.moments import UNIX_SECONDS, rfc3339

Schema = Mapping[str, Any]
Kind = Any
"""A model's class, the kind of one of its fields, or a Schema that stands for itself."""

T = TypeVar("T")

_LISTS = (list, Sequence)
_UNIONS = (types.UnionType, typing.Union)
_PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number"}


@dataclasses.dataclass(frozen=True, slots=True)
class Keyword:
    """What the schema of an annotated kind says besides, such as its minimum."""

    key: str
    value: Any


def schema_of(kind: Kind) -> Schema:
    """Return the JSON Schema (OpenAPI 3.1) of ``kind``; of a model, the reference to it."""
    if isinstance(kind, Mapping):
        return kind
    if dataclasses.is_dataclass(kind):
        return {"$ref": f"#/components/schemas/{_name(kind)}"}
    origin, args = _parts(kind)
    if origin is Annotated:
        if args[1] == UNIX_SECONDS:
            return {"type": "string", "format": "date-time"}
        return {**schema_of(args[0]), **{one.key: one.value for one in args[1:]}}
    if origin is Literal:
        return {"enum": list(args)}
    if origin in _UNIONS:
        return {"anyOf": [schema_of(args[0]), {"type": "null"}]}
    if origin in _LISTS:
        return {"type": "array", "items": schema_of(args[0])}
    if origin is Mapping and args[1] is Any:
        return {"type": "object"}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": schema_of(args[1])}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"type": "string", "enum": [str(member.value) for member in kind]}
    return {"type": _PLAIN[kind]}


def components(kinds: Sequence[Kind]) -> dict[str, Schema]:
    """Return the schemas of all models in ``kinds`` by name, in the order of their names."""
    found = {_name(model): _object(model) for kind in kinds for model in _models(kind)}
    return dict(sorted(found.items()))


def _models(kind: Kind) -> Iterator[type]:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        yield kind
        for under in _kinds(kind).values():
            yield from _models(under)
    elif not isinstance(kind, Mapping):
        for under in typing.get_args(kind):
            yield from _models(under)


def _object(model: type) -> Schema:
    properties: dict[str, Schema] = {}
    required = []
    for field in dataclasses.fields(model):
        kind = _kinds(model)[field.name]
        if field.default is dataclasses.MISSING:
            required.append(_key(field.name))
            properties[_key(field.name)] = schema_of(kind)
        elif field.default is None:  # may be left out, and is not taken as null
            properties[_key(field.name)] = schema_of(typing.get_args(kind)[0])
        else:
            properties[_key(field.name)] = {**schema_of(kind), "default": field.default}
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def as_json(kind: Kind, value: Any) -> Any:
    """Return ``value``, which is of ``kind``, as plain JSON."""
    if value is None or isinstance(kind, Mapping):
        return value
    if dataclasses.is_dataclass(kind):
        under = _kinds(typing.cast(type, kind))
        return {_key(name): as_json(under[name], getattr(value, name)) for name in under}
    origin, args = _parts(kind)
    if origin is Annotated:
        return rfc3339(value) if args[1] == UNIX_SECONDS else as_json(args[0], value)
    if origin in _UNIONS:
        return as_json(args[0], value)
    if origin in _LISTS:
        return [as_json(args[0], one) for one in value]
    if origin is Mapping:
        return {key: as_json(args[1], one) for key, one in value.items()}
    return value


def parse(model: Callable[..., T], raw: object) -> T:
    """Return a request's body as a ``model`` of texts and truths. Raises ValueError."""
    if not isinstance(raw, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 - as for its fields
    kinds = {_key(name): kind for name, kind in _kinds(model).items()}
    if unknown := sorted(raw.keys() - kinds.keys()):
        raise ValueError(f"unknown {unknown}; allowed: {', '.join(kinds)}")
    values = {}
    for field in dataclasses.fields(model):  # type: ignore[arg-type]
        key = _key(field.name)
        value = raw.get(key, field.default)
        plain = _plain(kinds[key])
        if type(value) is not plain and (key in raw or value is not None):
            must_be = {str: "text", bool: "true or false"}[plain]
            raise ValueError(f"{key} must be {must_be}")
        values[field.name] = value
    return model(**values)


def model_of(kind: Kind) -> Any:
    """Return the model that ``kind`` is, with or without keywords; None where it is none."""
    origin, args = _parts(kind)
    model = args[0] if origin is Annotated else kind
    return model if dataclasses.is_dataclass(model) else None


def may_be_left_out(model: Any) -> bool:
    """Whether a request's body may be: each field of its ``model`` has a default."""
    return all(one.default is not dataclasses.MISSING for one in dataclasses.fields(model))


def _plain(kind: Kind) -> Any:
    """Return the plain type below keywords and None."""
    while typing.get_args(kind):
        kind = typing.get_args(kind)[0]
    return kind


def _key(name: str) -> str:
    """Return a field's name in JSON: ``for_`` is ``for``, which Python has taken."""
    return name.removesuffix("_")


@functools.cache
def _kinds(model: Any) -> dict[str, Kind]:
    return typing.get_type_hints(model, include_extras=True)


def _parts(kind: Kind) -> tuple[Any, tuple[Any, ...]]:
    """Return what ``kind`` is built of: None for a plain one."""
    return typing.get_origin(kind), typing.get_args(kind)


def _name(model: object) -> str:
    return typing.cast(type, model).__name__
