"""Strict settings: YAML into frozen dataclasses, or one error that says what is allowed.

A settings class is a dataclass; its field types say what is accepted and its defaults stand
beside the fields. Unknown keys, missing keys, wrong types and bad values are each reported as
a ConfigError that names the file, the path inside it, the value, and what is allowed.
Beyond the kinds of toolkit.values there are ``bool``, enums, ``Literal``, ``tuple[T, ...]`` for
lists, ``dict[K, T]``, ``Path`` (relative to the file), ``object`` and ``X | None``; ByKind marks
a mapping whose ``kind`` says which dataclass it is.
A dataclass may check itself in ``__post_init__`` by raising ValueError (named at its path), and
one with a classmethod ``from_text`` may be given as plain text as well.

This is our own code because the exporter's memory budget has no room for a validation library
(pydantic alone adds 10 MB to a 20 MB process), and both programs report mistakes alike.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import reprlib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from memleash_toolkit import documents
from memleash_toolkit.values import KINDS, AtLeastOne, ByKind, Parser, parse_command

T = TypeVar("T")


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
        shown = _cut(name) if isinstance(name, str) else show(name)
        return dataclasses.replace(self, path=f"{self.path}.{shown}" if self.path else shown)

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
    if origin is Annotated:
        under, mark = typing.get_args(kind)
        return _annotated(under, mark, raw, at)
    if origin is not None:
        return _generic(origin, typing.get_args(kind), raw, at)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _one_of({member.value: member for member in kind}, raw, at)
    if kind is Path:
        return _path(raw, at)
    if kind is bool and not isinstance(raw, bool):
        raise at.error(f"{show(raw)} must be true or false")
    return raw if kind in (bool, object) else _parsed(KINDS[kind], raw, at)


def _annotated(kind: Any, mark: Parser | AtLeastOne | ByKind, raw: object, at: _Place) -> object:
    if isinstance(mark, Parser):
        return _parsed(mark, raw, at)
    if isinstance(mark, ByKind):
        given = raw.get("kind", mark.default) if isinstance(raw, dict) else mark.default
        cls = _one_of(mark.classes, given, at.key("kind"))
        return _dataclass(typing.cast(type, cls), raw, at)
    if raw == []:
        raise at.error("[] must hold at least one")
    return _convert(kind, raw, at)


def _generic(origin: Any, args: tuple[Any, ...], raw: object, at: _Place) -> object:
    if origin in (typing.Union, types.UnionType):
        (kind,) = (arg for arg in args if arg is not type(None))
        return None if raw is None else _convert(kind, raw, at)
    if origin is typing.Literal:
        return _one_of({value: value for value in args}, raw, at)
    if origin is tuple:
        if not isinstance(raw, list):
            raise at.error(f"{show(raw)} must be a list")
        return tuple(_convert(args[0], item, at.index(n)) for n, item in enumerate(raw))
    if not isinstance(raw, dict):
        raise at.error(f"{show(raw)} must be a mapping")
    return {
        _convert(args[0], key, at.key(key)): _convert(args[1], value, at.key(key))
        for key, value in raw.items()
    }


def _dataclass(cls: type, raw: object, at: _Place) -> object:
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    allowed = f"allowed here: {', '.join(fields)}"
    if raw is None:
        raw = {}
    if isinstance(raw, str) and hasattr(cls, "from_text"):
        kind = typing.get_type_hints(cls.from_text, include_extras=True)["text"]
        text = _convert(kind, raw, at)
        return _checked(lambda: cls.from_text(text), at)
    kinds = typing.get_type_hints(cls, include_extras=True)
    if not isinstance(raw, dict):
        shown = _HIDDEN if any(map(_is_secret, kinds.values())) else show(raw)
        raise at.error(f"{shown} must be a mapping; {allowed}")
    for key in raw:
        if key not in fields:
            raise at.key(key).error(f"unknown key {show(key)}; {_meant(key, fields)}{allowed}")
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
        raise at.error(_cut(_USER_AND_PASSWORD.sub("…@", str(error)), most=400)) from error


def _meant(key: object, fields: Iterable[str]) -> str:
    """Return a question after the key that was meant, empty when none is near."""
    import difflib  # noqa: PLC0415 - only for a mistake

    close = difflib.get_close_matches(key, fields, n=1) if isinstance(key, str) else []
    return f"did you mean {close[0]!r}? " if close else ""


def _one_of(choices: Mapping[object, object], raw: object, at: _Place) -> object:
    for value, choice in choices.items():
        if type(value) is type(raw) and value == raw:
            return choice
    raise at.error(f"{show(raw)} must be one of {', '.join(str(value) for value in choices)}")


def _parsed(parser: Parser, raw: object, at: _Place) -> object:
    try:
        return parser.parse(raw)
    except ValueError as error:
        shown = _HIDDEN if parser.is_secret else show(raw)
        raise at.error(f"{shown} {error}") from error


_HIDDEN = "what stands here (it is not shown)"


def _is_secret(kind: object) -> bool:
    parser = next(iter(getattr(kind, "__metadata__", ())), None)
    return isinstance(parser, Parser) and parser.is_secret


def _path(raw: object, at: _Place) -> Path:
    try:
        return at.source.parent / Path(parse_command(raw)).expanduser()
    except ValueError as error:
        raise at.error(f"{show(raw)} must be the path of a file") from error
    except RuntimeError as error:
        raise at.error(f"{show(raw)} must be in the home of a user who exists") from error


def show(raw: object) -> str:
    """Return ``raw`` for a message: cut, on one line, and without a password in a URL."""
    try:
        # What YAML's aliases make of a few lines may be more than repr finds memory for.
        text = repr(raw) if isinstance(raw, str) else reprlib.repr(raw)
    except ValueError:  # a whole number of thousands of digits
        text = "a number of very many digits"
    return _cut(_USER_AND_PASSWORD.sub("…@", text))


_USER_AND_PASSWORD = re.compile(r"(?<=://)\S*@")


def _cut(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
