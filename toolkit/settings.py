"""Strict settings: YAML into frozen dataclasses, or one error that says what is allowed.

A settings class is a dataclass; its field types say what is accepted and its defaults stand
beside the fields. Unknown keys, missing keys, wrong types and bad values are each reported as
a ConfigError that names the file, the path inside it, the value, and what is allowed.
Beyond plain types there are ``Size`` (bytes), ``Duration`` (seconds), enums, ``Literal``,
``tuple[T, ...]`` for lists, ``dict[str, T]``, ``Path`` (relative to the file) and ``X | None``.
A dataclass may check itself in ``__post_init__`` by raising ValueError (named at its path), and
one with a classmethod ``from_text`` may be given as plain text as well.

This is our own code because the exporter's memory budget has no room for a validation library
(pydantic alone adds 10 MB to a 20 MB process), and both programs report mistakes alike.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from toolkit import documents
from toolkit.units import parse_duration, parse_size

T = TypeVar("T")

Size = typing.NewType("Size", int)
"""Bytes, written as ``2GiB``."""

Duration = typing.NewType("Duration", float)
"""Seconds, written as ``5m``."""


class ConfigError(Exception):
    """A configuration that cannot be used: the operator's to mend; trying again does not help."""

    def __init__(self, source: str, path: str, problem: str) -> None:
        self.source = source
        # A key with a line break in it must not forge a line of the message.
        self.path = path if path.isprintable() else repr(path)[1:-1]
        self.problem = problem
        super().__init__(f"{source}: {self.path}: {problem}" if path else f"{source}: {problem}")


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where in which file a value stands."""

    source: Path
    path: str = ""

    def key(self, name: object) -> _Place:
        return dataclasses.replace(self, path=f"{self.path}.{name}" if self.path else str(name))

    def index(self, number: int) -> _Place:
        return dataclasses.replace(self, path=f"{self.path}[{number}]")

    def error(self, problem: str) -> ConfigError:
        return ConfigError(str(self.source), self.path, problem)


def parse_yaml(text: str, source: Path) -> object:
    """Return what the YAML ``text`` holds, as plain Python data. Raises ConfigError."""
    return understood(lambda: documents.parse_yaml(text), source)


def understood(read: Callable[[], object], source: Path) -> object:
    """Return what ``read`` gives. Raises ConfigError, naming ``source``, for its DocumentError."""
    try:
        return read()
    except documents.DocumentError as error:
        raise ConfigError(str(source), "", str(error)) from error


def load(cls: type[T], file: Path) -> T:
    """Read ``file`` and return it as a ``cls``. Raises ConfigError."""
    return build(cls, understood(lambda: documents.read_yaml(file), file), file)


def build(cls: type[T], raw: object, source: Path, path: str = "") -> T:
    """Return ``raw`` (as YAML gives it) as a ``cls``; ``source`` and ``path`` name it in errors.

    Raises ConfigError.
    """
    return typing.cast(T, _convert(cls, raw, _Place(source, path)))


def _convert(kind: Any, raw: object, at: _Place) -> object:
    if dataclasses.is_dataclass(kind):
        return _dataclass(typing.cast(type, kind), raw, at)
    origin = typing.get_origin(kind)
    if origin is not None:
        return _generic(origin, typing.get_args(kind), raw, at)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _one_of({member.value: member for member in kind}, raw, at)
    return _SCALARS[kind](raw, at)


def _generic(origin: Any, args: tuple[Any, ...], raw: object, at: _Place) -> object:
    if origin in (typing.Union, types.UnionType):
        (kind,) = (arg for arg in args if arg is not type(None))
        return None if raw is None else _convert(kind, raw, at)
    if origin is typing.Literal:
        return _one_of({value: value for value in args}, raw, at)
    if origin is tuple:
        if not isinstance(raw, list):
            raise at.error(f"{_show(raw)} must be a list")
        return tuple(_convert(args[0], item, at.index(n)) for n, item in enumerate(raw))
    if not isinstance(raw, dict):
        raise at.error(f"{_show(raw)} must be a mapping")
    return {
        _text(key, at.key(key)): _convert(args[1], value, at.key(key)) for key, value in raw.items()
    }


def _dataclass(cls: type, raw: object, at: _Place) -> object:
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    allowed = f"allowed here: {', '.join(fields)}"
    if raw is None:
        raw = {}
    if isinstance(raw, str) and hasattr(cls, "from_text"):
        return _checked(lambda: cls.from_text(raw), at)
    if not isinstance(raw, dict):
        raise at.error(f"{_show(raw)} must be a mapping; {allowed}")
    for key in raw:
        if key not in fields:
            raise at.key(key).error(f"unknown key {_show(key)}; {allowed}")
    kinds = typing.get_type_hints(cls)
    values = {}
    for name, field in fields.items():
        if name in raw:
            values[name] = _convert(kinds[name], raw[name], at.key(name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise at.error(f"{name} is missing; it is required here; {allowed}")
    return _checked(lambda: cls(**values), at)


def _checked(make: Callable[[], object], at: _Place) -> object:
    try:
        return make()
    except ValueError as error:
        raise at.error(str(error)) from error


def _one_of(choices: Mapping[object, object], raw: object, at: _Place) -> object:
    for value, choice in choices.items():
        if type(value) is type(raw) and value == raw:
            return choice
    raise at.error(f"{_show(raw)} must be one of {', '.join(str(value) for value in choices)}")


def _plain(kind: type[T], name: str) -> Callable[[object, _Place], T]:
    def convert(raw: object, at: _Place) -> T:
        if not isinstance(raw, kind) or (isinstance(raw, bool) and kind is not bool):
            raise at.error(f"{_show(raw)} must be {name}")
        return raw

    return convert


def _number(raw: object, at: _Place) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or math.isnan(raw):
        raise at.error(f"{_show(raw)} must be a number")
    return float(raw)


def _path(raw: object, at: _Place) -> Path:
    if not isinstance(raw, str) or not raw or "\0" in raw:
        raise at.error(f"{_show(raw)} must be the path of a file")
    return at.source.parent / Path(raw).expanduser()


def _parsed(parse: Callable[[object], T]) -> Callable[[object, _Place], T]:
    def convert(raw: object, at: _Place) -> T:
        try:
            return parse(raw)
        except (ValueError, OverflowError) as error:
            raise at.error(f"{_show(raw)} {error}") from error

    return convert


_text = _plain(str, "text")
_SCALARS: dict[object, Callable[[Any, _Place], object]] = {
    str: _text,
    bool: _plain(bool, "true or false"),
    int: _plain(int, "a whole number"),
    float: _number,
    Size: _parsed(parse_size),
    Duration: _parsed(parse_duration),
    Path: _path,
    object: lambda raw, _: raw,
}


def _show(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 80 else text[:77] + "..."
