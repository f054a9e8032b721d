"""YAML and JSON from outside, held to a size and a depth before anything is made of them.

PyYAML's composer over libyaml calls itself once a level, without a bound: 100,000 brackets run it
off the end of the C stack, and the process is gone. So the events, which libyaml gives without
calling itself, are walked first. A file is read whole or not at all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeGuard

import yaml

MAX_BYTES = 16 * 1024**2
"""A file; an inventory of 10,000 hosts with three labels each is 1 MiB."""

MAX_VALUES = 1_000_000
"""What a document may hold, each alias counted as all that it stands for."""

MAX_DEPTH = 64
"""Levels of lists and mappings; the deepest setting is at the seventh."""


class DocumentError(ValueError):
    """A document that cannot be used; the message completes "this file …"."""


# libyaml's parser where PyYAML has it: it takes a tenth of the time.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeyLoader(_SafeLoader):  # type: ignore[misc]
    """YAML's safe loader that refuses a key given twice instead of keeping the last."""


def _mapping_without_duplicates(
    loader: _UniqueKeyLoader, node: yaml.MappingNode
) -> dict[object, object]:
    loader.flatten_mapping(node)
    result: dict[object, object] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float | bool | None):
            raise yaml.constructor.ConstructorError(
                None, None, "a key must be plain text", key_node.start_mark
            )
        if key in result:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} is given twice", key_node.start_mark
            )
        result[key] = loader.construct_object(value_node, deep=True)
    return result


_UniqueKeyLoader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates
)


def read_yaml(file: Path) -> object:
    """Return what the YAML ``file`` holds, as plain Python data. Raises DocumentError."""
    return parse_yaml(_text(file))


def read_json(file: Path) -> object:
    """Return what the JSON ``file`` holds. Raises DocumentError."""
    return parse_json(_text(file))


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError(
            f"cannot be read: {error.strerror or error}; give a readable file"
        ) from error
    if len(content) > MAX_BYTES:
        raise DocumentError(f"is larger than {MAX_BYTES // 1024**2} MiB; split it")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not UTF-8 text: {error.reason}") from error


def parse_json(text: str | bytes) -> object:
    """Return what the JSON ``text`` holds. Raises DocumentError."""
    try:
        value: object = json.loads(text)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise DocumentError(f"is not valid JSON: {error}") from error
    level: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
    if level:
        raise _too_deep()
    return value


def parse_yaml(text: str) -> object:
    """Return what the YAML ``text`` holds, as plain Python data. Raises DocumentError."""
    try:
        return _plain_document(text)
    except _NotPlain:
        return _any_document(text)


class _NotPlain(Exception):
    """There is more in a document than lists, mappings by text, and scalars; or a mistake."""


def _plain_document(text: str) -> object:
    """Return what a plain document holds, made in the same walk that holds it to its bounds.

    An inventory of 10,000 hosts takes a third of the time that PyYAML takes, which makes a node
    of everything first. Raises _NotPlain for what PyYAML is to read or to refuse: anchors, tags,
    merged keys and every mistake. Raises DocumentError for what is too deep or too large.
    """
    try:
        loader = _SafeLoader(text)
        try:
            (value,) = _plain_documents(loader)
        finally:
            loader.dispose()
    except DocumentError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise _NotPlain from error
    return value


def _plain_documents(loader: Any) -> list[object]:
    scalars: dict[str, object] = {}
    values = 0
    # The documents, then each collection that goes on; of a mapping its keys and values in turn.
    unfinished: list[list[object]] = [[]]
    for event in iter(loader.get_event, None):
        kind = type(event)
        if kind is yaml.ScalarEvent:
            unfinished[-1].append(_plain_scalar(loader, event, scalars))
        elif kind is yaml.SequenceStartEvent or kind is yaml.MappingStartEvent:
            unfinished.append([])
            _check_depth(len(unfinished) - 1)
        elif kind is yaml.SequenceEndEvent:
            done = unfinished.pop()
            unfinished[-1].append(done)
            continue
        elif kind is yaml.MappingEndEvent:
            keys_and_values = unfinished.pop()
            unfinished[-1].append(_plain_mapping(keys_and_values))
            continue
        elif kind is yaml.AliasEvent:
            raise _NotPlain
        else:  # where the stream and its documents begin and end
            continue
        values += 1
        _check_size(values)
        if event.anchor is not None or event.tag is not None:
            raise _NotPlain
    return unfinished[0]


def _plain_scalar(loader: Any, event: yaml.ScalarEvent, known: dict[str, object]) -> object:
    """Return what a scalar stands for; ``known`` are those without quotes that came before."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text not in known:
        tag = loader.resolve(yaml.ScalarNode, text, event.implicit)
        if tag in _NOT_VALUES:
            raise _NotPlain
        node = yaml.ScalarNode(tag, text)  # where it stands matters to a mistake alone
        known[text] = text if tag == _TEXT else loader.construct_object(node)
    return known[text]


_TEXT = "tag:yaml.org,2002:str"
_NOT_VALUES = ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:value")
"""What ``<<`` and ``=`` are."""


def _plain_mapping(keys_and_values: list[object]) -> dict[str, object]:
    keys = keys_and_values[::2]
    mapping = dict(zip(keys, keys_and_values[1::2], strict=True)) if _are_text(keys) else {}
    if len(mapping) != len(keys):  # a key that is no text, or is given twice
        raise _NotPlain
    return mapping


def _are_text(keys: list[object]) -> TypeGuard[list[str]]:
    return all(type(key) is str for key in keys)


def _any_document(text: str) -> object:
    try:
        _check_bounds(text)
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except DocumentError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise DocumentError(f"is not valid YAML: {' '.join(str(error).split())}") from error


def _check_bounds(text: str) -> None:
    """Raise DocumentError for YAML that is too deep, or holds too much.

    An anchor's size is what stands below it, so that aliases of aliases count as what they grow to.
    """
    values = 0
    sizes: dict[str, int] = {}
    begun: list[tuple[str | None, int]] = []
    for event in yaml.parse(text, Loader=_SafeLoader):
        match event:
            case yaml.AliasEvent(anchor=str(anchor)):
                values += _size_of(anchor, sizes, begun)
            case yaml.CollectionStartEvent(anchor=anchor):
                begun.append((anchor, values))
                values += 1
            case yaml.CollectionEndEvent():
                anchor, before = begun.pop()
                if anchor is not None:
                    sizes[anchor] = values - before
            case yaml.ScalarEvent(anchor=anchor):
                values += 1
                if anchor is not None:
                    sizes[anchor] = 1
        _check_depth(len(begun))
        _check_size(values)


def _check_depth(levels: int) -> None:
    if levels > MAX_DEPTH:
        raise _too_deep()


def _check_size(values: int) -> None:
    if values > MAX_VALUES:
        raise DocumentError(f"holds more than {MAX_VALUES:,} values; split it")


def _size_of(anchor: str | None, sizes: dict[str, int], begun: list[tuple[str | None, int]]) -> int:
    if any(anchor == one for one, _ in begun):
        raise DocumentError(f"has the alias *{anchor} inside of what it stands for")
    return sizes.get(anchor or "", 1)  # one that is not known is the parser's to refuse


def _too_deep() -> DocumentError:
    return DocumentError(f"is nested deeper than {MAX_DEPTH} levels")
