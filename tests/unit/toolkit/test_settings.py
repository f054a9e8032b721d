"""Strict settings: every mistake names file, path, value and what is allowed."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from memleash_toolkit.settings import ConfigError, build, load, parse_yaml
from memleash_toolkit.values import (
    Count,
    Duration,
    DurationOrZero,
    OneOrMore,
    Secret,
    Share,
    Size,
    SizeOrZero,
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Spot:
    x: Count
    y: Count = 1

    def __post_init__(self) -> None:
        if self.x > 9:
            raise ValueError(f"x {self.x} must not be over 9")

    @classmethod
    def from_text(cls, text: str) -> Spot:
        return cls(int(text))


@dataclass(frozen=True, slots=True)
class Plain:
    word: str = "a"


@dataclass(frozen=True, slots=True)
class Login:
    password: Secret = "none"


@dataclass(frozen=True, slots=True)
class Everything:
    size: Size = Size(1)
    wait: Duration = Duration(1.0)
    colour: Colour = Colour.RED
    mode: Literal["on", "off"] = "on"
    ratio: Share = 0.5
    count: Count = 1
    flag: bool = False
    file: Path | None = None
    words: tuple[str, ...] = ()
    table: dict[str, Count] = field(default_factory=dict)
    spot: Spot | None = None
    plain: Plain = Plain()
    login: Login = Login()
    least: SizeOrZero = Size(0)
    rest: DurationOrZero = Duration(0)
    hosts: OneOrMore[str] = ("a",)


SOURCE = Path("/etc/it/config.yml")


def test_every_kind_of_value_is_read() -> None:
    read = build(
        Everything,
        parse_yaml(
            "{size: 2KiB, wait: 5m, colour: blue, mode: 'off', ratio: 1, count: 3, flag: true,"
            " file: x/y, words: [a, b], table: {k: 1}, spot: {x: 4}, plain: , least: 0, rest: 0s,"
            " hosts: [b]}",
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
        hosts=("b",),
    )


def test_an_empty_file_is_all_defaults() -> None:
    assert build(Everything, parse_yaml("", SOURCE), SOURCE) == Everything()


def test_a_class_that_reads_text_may_be_given_as_text() -> None:
    assert build(Everything, {"spot": "7"}, SOURCE).spot == Spot(7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sise: 1", "sise: unknown key 'sise'; did you mean 'size'? allowed here: size, wait,"),
        ("xyz: 1", "xyz: unknown key 'xyz'; allowed here: size, wait, colour,"),
        ("? 0x" + "f" * 9000 + "\n: 1", "a number of very many digits: unknown key"),
        ("a" * 999 + ": 1", "a" * 77 + "...: unknown key"),
        ("size: 0", "size: 0 must be over 0"),
        ("size: 8192PiB", "size: '8192PiB' must be a whole number of bytes"),
        ("size: " + "9" * 99, "size: " + "9" * 18),
        ("wait: 0s", "wait: '0s' must be over 0"),
        ("wait: 101y", "wait: '101y' must be a duration such as"),
        ("least: -1", "least: -1 must be a whole number of bytes"),
        ("hosts: []", "hosts: [] must hold at least one"),
        ("login: {password: 123456}", "login.password: what stands here (it is not shown) must be"),
        ("login: s3cr3t", "login: what stands here (it is not shown) must be a mapping"),
        ("login: [s3cr3t]", "login: what stands here (it is not shown) must be a mapping"),
        ("words: 'http://u:s3cr3t@h/'", "words: 'http://…@h/' must be a list"),
        ('words: ["\\0"]', "words[0]: '\\x00' must be text without NUL"),
        (
            "file: ~no.such.user/x",
            "file: '~no.such.user/x' must be in the home of a user who exists",
        ),
        ("size: 5GX", "size: '5GX' must be a whole number of bytes, or a number with one of B"),
        ("wait: 5", "wait: 5 must be a duration such as 500ms"),
        ("colour: green", "colour: 'green' must be one of red, blue"),
        ("mode: no", "mode: False must be one of on, off"),
        ("ratio: .nan", "ratio: nan must be a number over 0 and at most 1"),
        ("ratio: true", "ratio: True must be a number over 0 and at most 1"),
        ("ratio: 0x" + "f" * 9000, "ratio: a number of very many digits must be a number over"),
        ("count: 0", "count: 0 must be a whole number from 1 to 1000000000"),
        ("count: 1.5", "count: 1.5 must be a whole number"),
        ("count: true", "count: True must be a whole number"),
        ("flag: 1", "flag: 1 must be true or false"),
        ("file: ''", "file: '' must be the path of a file"),
        ("words: a", "words: 'a' must be a list"),
        ("words: [a, 1]", "words[1]: 1 must be text"),
        ("table: [1]", "table: [1] must be a mapping"),
        ("table: {1: 1}", "table.1: 1 must be text"),
        ("spot: {}", "spot: x is missing; it is required here; allowed here: x, y"),
        ("spot: {x: 10}", "spot: x 10 must not be over 9"),
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
