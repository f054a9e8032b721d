"""Strict settings: every mistake names file, path, value and what is allowed."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from toolkit.settings import ConfigError, Duration, Size, build, load, parse_yaml


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Spot:
    x: int
    y: int = 0

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError(f"x {self.x} must not be negative")

    @classmethod
    def from_text(cls, text: str) -> Spot:
        return cls(int(text))


@dataclass(frozen=True, slots=True)
class Plain:
    word: str = "a"


@dataclass(frozen=True, slots=True)
class Everything:
    size: Size = Size(1)
    wait: Duration = Duration(1.0)
    colour: Colour = Colour.RED
    mode: Literal["on", "off"] = "on"
    ratio: float = 0.5
    count: int = 1
    flag: bool = False
    file: Path | None = None
    words: tuple[str, ...] = ()
    table: dict[str, int] = field(default_factory=dict)
    spot: Spot | None = None
    plain: Plain = Plain()


SOURCE = Path("/etc/it/config.yml")


def test_every_kind_of_value_is_read() -> None:
    read = build(
        Everything,
        parse_yaml(
            "{size: 2KiB, wait: 5m, colour: blue, mode: 'off', ratio: 1, count: 3, flag: true,"
            " file: x/y, words: [a, b], table: {k: 1}, spot: {x: 4}, plain: }",
            SOURCE,
        ),
        SOURCE,
    )
    assert read == Everything(
        size=Size(2048),
        wait=Duration(300.0),
        colour=Colour.BLUE,
        mode="off",
        ratio=1.0,
        count=3,
        flag=True,
        file=Path("/etc/it/x/y"),
        words=("a", "b"),
        table={"k": 1},
        spot=Spot(4),
        plain=Plain(),
    )


def test_an_empty_file_is_all_defaults() -> None:
    assert build(Everything, parse_yaml("", SOURCE), SOURCE) == Everything()


def test_a_class_that_reads_text_may_be_given_as_text() -> None:
    assert build(Everything, {"spot": "7"}, SOURCE).spot == Spot(7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sise: 1", "sise: unknown key 'sise'; allowed here: size, wait, colour, mode, ratio,"),
        ("size: 5GX", "size: '5GX' must be a whole number of bytes, or a number with one of B"),
        ("wait: 5", "wait: 5 must be a duration such as 500ms"),
        ("colour: green", "colour: 'green' must be one of red, blue"),
        ("mode: no", "mode: False must be one of on, off"),
        ("ratio: .nan", "ratio: nan must be a number"),
        ("ratio: true", "ratio: True must be a number"),
        ("count: 1.5", "count: 1.5 must be a whole number"),
        ("count: true", "count: True must be a whole number"),
        ("flag: 1", "flag: 1 must be true or false"),
        ("file: ''", "file: '' must be the path of a file"),
        ("words: a", "words: 'a' must be a list"),
        ("words: [a, 1]", "words[1]: 1 must be text"),
        ("table: [1]", "table: [1] must be a mapping"),
        ("table: {1: 1}", "table.1: 1 must be text"),
        ("spot: {}", "spot: x is missing; it is required here; allowed here: x, y"),
        ("spot: {x: -1}", "spot: x -1 must not be negative"),
        ("spot: five", "spot: invalid literal for int"),
        ("spot: [1]", "spot: [1] must be a mapping; allowed here: x, y"),
        ("plain: text", "plain: 'text' must be a mapping; allowed here: word"),
    ],
)
def test_a_mistake_names_its_place_its_value_and_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(Everything, parse_yaml(text, SOURCE), SOURCE)
    assert str(caught.value).startswith(f"{SOURCE}: {message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "is not valid YAML: while parsing a flow node"),
        (b"a: 1\na: 2", "is not valid YAML: key 'a' is given twice"),
        (b"\xff", "is not UTF-8 text: invalid start byte"),
        (b"? [a]\n: 1", "is not valid YAML: a key must be plain text"),
        (b"- 1", "[1] must be a mapping; allowed here: word"),
        (b"word: 2026-13-45", "is not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "config.yml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(Plain, file)
    assert str(caught.value).startswith(f"{file}: {message}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "none.yml"
    with pytest.raises(ConfigError) as caught:
        load(Plain, file)
    assert (
        str(caught.value)
        == f"{file}: cannot be read: No such file or directory; give a readable file"
    )
