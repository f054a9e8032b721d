"""Every key of every configuration file: its kind has bounds, and no value breaks the reader."""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memleash_exporter.settings import Settings as ExporterSettings
from memleash_responder.core.values import HostUrlTemplate, UrlTemplate
from memleash_responder.ctl.config import CtlConfig
from memleash_responder.settings import Settings as ResponderSettings
from memleash_toolkit.settings import ConfigError, build
from memleash_toolkit.values import AtLeastOne, BaseUrl, ByKind, Duration, HttpUrl, Port
from memleash_toolkit.web_config import WebSettings

FILE = Path("/etc/memleash/x.yml")
ROOTS = (ExporterSettings, ResponderSettings, CtlConfig, WebSettings)

ODD: list[object] = [
    *(None, True, False, 0, -1, 1, 99_999, 10**400, 1 << 20_000, -(1 << 20_000)),
    *(math.nan, math.inf, -math.inf, 1e-320, 0.5, 1e308),
    *("", " ", "\n", "\0", "\ud800", "\x1b[31m", "é", "0", "0s", "-1", "99999999999y", "9" * 5000),
    *("{host.__class__}", "{host:>1000000000}", "{", "]:[", "[::1%eth0]:1", "~nobody.here/x"),
    *("(" * 300, "a{99999999999}", "/x", "2GiB", "5m", "x", ".*"),
    *("http://u:s3cr3t@h/", "http://h:99999/", "http:// h/", "a" * 100_000, "$(reboot)", "../../x"),
    *([], [[]], [None], {}, {"x": 1}, {1: 2}, {None: None}, [{}], {"a/b": {}}),
    *(datetime.date(1, 1, 1), datetime.datetime.max.replace(tzinfo=datetime.UTC), b"\xff"),
    *({1, 2}, (1,)),
]  # fmt: skip


def classes(kind: Any) -> Iterator[type]:
    """Yield the settings classes in ``kind``, it included."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        yield kind
        for under in typing.get_type_hints(kind, include_extras=True).values():
            yield from classes(under)
    else:
        for under in typing.get_args(kind):
            yield from classes(under)


def full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


CLASSES = sorted({one for root in ROOTS for one in classes(root)}, key=full_name)
FIELDS = [(one, field.name) for one in CLASSES for field in dataclasses.fields(one) if field.init]


def kind_of(cls: type, name: str) -> Any:
    return typing.get_type_hints(cls, include_extras=True)[name]


def leaves(kind: Any) -> Iterator[Any]:
    """Yield the plain kinds in ``kind``."""
    if typing.get_origin(kind) in (None, typing.Literal) or _is_parsed(kind):
        yield kind
        return
    for under in typing.get_args(kind):
        if under not in (Ellipsis, type(None)) and not isinstance(under, AtLeastOne | ByKind):
            yield from leaves(under)


def _is_parsed(kind: Any) -> bool:
    return any(hasattr(mark, "parse") for mark in getattr(kind, "__metadata__", ()))


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("cls", "name"), FIELDS, ids=lambda one: one if isinstance(one, str) else full_name(one)
)
def test_no_value_of_a_key_breaks_the_reader(cls: type, name: str) -> None:
    for odd in ODD:
        for value in (odd, [odd], {"x": odd}):
            try:
                build(cls, {name: value}, FILE)
            except ConfigError as error:
                message = str(error)
                assert message.startswith(f"{FILE}: ")
                assert message.isprintable(), message
                assert len(message) < 2000
                assert "s3cr3t" not in message


@pytest.mark.parametrize(
    ("cls", "name"), FIELDS, ids=lambda one: one if isinstance(one, str) else full_name(one)
)
def test_no_key_holds_a_number_or_an_address_without_bounds(cls: type, name: str) -> None:
    kinds = list(leaves(kind_of(cls, name)))
    assert kinds
    assert int not in kinds
    assert float not in kinds
    if re.fullmatch(r"(.*_)?urls?", name):
        assert all(kind in (HttpUrl, BaseUrl, UrlTemplate, HostUrlTemplate) for kind in kinds)
    if re.fullmatch(r"(.*_)?(timeout|interval|age)", name):
        assert kinds == [Duration]
    if name == "port":
        assert kinds == [Port]
    if re.fullmatch(r"(.*_)?files?", name) and not dataclasses.is_dataclass(kinds[0]):
        assert kinds == [Path]
