"""Documents that are too deep, too large or grow without end are refused before they are made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from memleash_toolkit import documents
from memleash_toolkit.documents import MAX_BYTES, MAX_DEPTH, DocumentError, parse_json, parse_yaml

_TENFOLD = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
LAUGHS = "\n".join(["a0: &a0 [lol, lol]", *_TENFOLD])
"""Two hundred million values in nine lines."""


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
def test_the_deepest_that_is_allowed_is_read(parse: object) -> None:
    value = parse(nested(MAX_DEPTH))  # type: ignore[operator]
    for _ in range(MAX_DEPTH - 1):
        (value,) = value
    assert value == []


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 100_000])
@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
def test_a_level_more_is_refused(parse: object, depth: int) -> None:
    with pytest.raises(DocumentError, match="nested deeper than 64 levels"):
        parse(nested(depth))  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "{" * 100_000, "- " * 100_000, "? " * 100_000, "{a: " * 100_000, "[{" * 50_000],
)
def test_nesting_that_never_ends_is_refused_however_it_is_written(text: str) -> None:
    with pytest.raises(DocumentError, match="nested deeper"):
        parse_yaml(text)


def test_nesting_in_an_object_counts_as_well() -> None:
    with pytest.raises(DocumentError, match="nested deeper"):
        parse_json('{"a":' * 500 + "1" + "}" * 500)


def test_anchors_are_understood() -> None:
    assert parse_yaml("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\nd: &d text\ne: *d") == {
        "a": {"x": 1},
        "b": {"x": 1},
        "c": {"x": 1, "y": 2},
        "d": "text",
        "e": "text",
    }


READ = """
import json, sys
if sys.argv[1] == "without libyaml":
    sys.modules["yaml._yaml"] = None
from memleash_toolkit import documents
assert (documents._SafeLoader.__name__ == "SafeLoader") == (sys.argv[1] == "without libyaml")
for text in json.load(sys.stdin):
    try:
        print(repr(documents.parse_yaml(text)))
    except documents.DocumentError as error:
        print(error)
"""


def test_without_libyaml_everything_is_read_alike() -> None:
    texts = [
        "- targets: ['a:1']\n  labels: {host: a, n: 07, on: yes, f: 1e3, x: 0x1f, z: ~}\n",
        "a: &a {x: 1}\nb: *a\nc: {<<: *a}\nd: !!str 7\ne: 2026-01-31\nf: |\n  two\n  lines\n",
        "{1: a, 2.5: b, null: c, true: d}",
        "",
        nested(MAX_DEPTH + 1),
        "a: 1\nb: 2\na: 3\n",
        "? [a]\n: b",
        "a: 1\nb: 2026-13-99\n",
    ]
    said = [
        subprocess.run(
            [sys.executable, "-c", READ, with_or_without],
            input=json.dumps(texts),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for with_or_without in ("with libyaml", "without libyaml")
    ]
    assert len(said[0]) == len(texts)
    for by_libyaml, by_python in zip(*said, strict=True):
        assert by_python.startswith(by_libyaml), "PyYAML's own parser goes on to show the place"


@pytest.mark.parametrize(
    ("text", "mistake", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "key 'a' is given twice", 3),
        ("- a\n- {b: 1,\n", "expected", 3),
        ("a:\n  - b\n c: d\n", "expected", 3),
        ("a: 1\n---\nb: 2\n", "expected a single document", 2),
        ("a: 1\n? [b]\n: c", "a key must be plain text", 2),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, mistake: str, line: int) -> None:
    with pytest.raises(
        DocumentError, match=f"is not valid YAML: .*{mistake}.* line {line}, column"
    ):
        parse_yaml(text)


def test_aliases_count_as_what_they_grow_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DocumentError, match="more than 1,000,000 values"):
        parse_yaml(LAUGHS)
    monkeypatch.setattr(documents, "MAX_VALUES", 7)
    assert parse_yaml("[&a [1, 2], *a]") == [[1, 2], [1, 2]]
    with pytest.raises(DocumentError, match="more than 7 values"):
        parse_yaml("[&a [1, 2], *a, 3]")


def test_an_alias_inside_of_what_it_stands_for_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"the alias \*a inside of what it stands for"):
        parse_yaml("&a [*a]")


def test_an_alias_that_nothing_bears_is_refused() -> None:
    with pytest.raises(DocumentError, match="undefined alias"):
        parse_yaml("[*a]")


@pytest.mark.parametrize("read", [documents.read_yaml, documents.read_json])
def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path, read: object) -> None:
    file = tmp_path / "large"
    with file.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    for large in (file, Path("/dev/zero")):
        with pytest.raises(DocumentError, match="is larger than 16 MiB; split it"):
            read(large)  # type: ignore[operator]


@pytest.mark.parametrize("text", ["", "nonsense", "[1", "9" * 5000, b"\xff"])
def test_what_is_not_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(DocumentError, match="is not valid JSON"):
        parse_json(text)
