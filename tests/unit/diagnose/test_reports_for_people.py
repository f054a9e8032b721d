"""report.md: names the suspects first, and shows nothing of the agent's as Markdown."""

from __future__ import annotations

import json

import pytest

from memleash_diagnoser import facts, render
from memleash_diagnoser.evidence import Evidence
from memleash_diagnoser.growth import Grown, GrownContainer


@pytest.fixture
def evidence() -> Evidence:
    taken = Evidence("kvmagent", "python", rounds=2, interval_seconds=300)
    taken.host, taken.taken_at, taken.finished_at = "host-1", 0.0, 601.0
    return taken


def test_a_report_without_growth_says_so(evidence: Evidence) -> None:
    assert "## What grew in every round\n\nNothing did." in render.markdown(evidence)


def test_the_most_telling_suspect_comes_first(evidence: Evidence) -> None:
    evidence.grown = {
        "types": [Grown("app.Session", [1, 2, 3], [10, 20, 3000])],
        "sites": [Grown("app.py:3", [1, 2, 3], [0, 1024, 2048])],
    }
    evidence.containers = [GrownContainer("7f", "dict", [600, 700, 800])]
    evidence.names = {"7f": ["app.CACHE", "Session", 56]}

    assert render.suspects(evidence) == [
        "`app.py:3` allocated 2.0 KiB that live on",
        "dict `app.CACHE` grew by 200 elements, of `Session` (about 56 B each)",
        "type `app.Session` grew by 2.9 KiB (2 more)",
    ]


def test_the_agents_own_type_is_told_before_the_parts_it_is_made_of(evidence: Evidence) -> None:
    evidence.grown = {
        "types": [
            Grown("builtins.dict", [1, 2], [0, 9000]),
            Grown("app.Session", [1, 2], [0, 3000]),
        ]
    }

    assert render.suspects(evidence) == ["type `app.Session` grew by 2.9 KiB (1 more)"]


def test_a_name_from_the_agent_cannot_become_markdown(evidence: Evidence) -> None:
    evidence.grown = {"types": [Grown("a`|\n# <b>x", [1, 2], [0, 5])]}

    report = render.markdown(evidence)

    assert "\n# <b>" not in report
    assert "`a'\\|  # <b>x`".replace("  ", " ") in report.replace("  ", " ")


def test_what_could_not_be_had_is_told(evidence: Evidence) -> None:
    evidence.note("py-spy is missing: install it")

    assert "## What could not be had\n\n- py-spy is missing: install it" in render.markdown(
        evidence
    )


def test_the_json_report_has_every_figure(evidence: Evidence) -> None:
    evidence.grown = {"types": [Grown("app.Session", [1, 2], [10, 20])]}
    evidence.containers = [GrownContainer("7f", "dict", [600, 700])]
    evidence.names = {"7f": ["app.CACHE", "Session", 56]}

    report = json.loads(json.dumps(evidence.plain()))

    assert report["version"] == 1
    assert report["grown"]["types"] == [
        {"name": "app.Session", "counts": [1, 2], "sizes_bytes": [10, 20], "growth_bytes": 10}
    ]
    assert report["containers"] == [
        {"id": "7f", "type": "dict", "lengths": [600, 700], "growth": 100, "name": "app.CACHE"}
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024**2, "1.0 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (-2048, "-2.0 KiB"),
        (1024**5, "1024.0 TiB"),
    ],
)
def test_sizes_are_told_in_human_units(value: float, shown: str) -> None:
    assert render.size(value) == shown


def test_whatever_the_agents_files_say_the_report_is_small(evidence: Evidence) -> None:
    long = "x" * 1_000_000
    evidence.facts = facts.bounded(
        {
            "identity": {"command_line": [long] * 1000},
            "program": {"executable": long, "environment": {}},
            "threads": [{"name": long}] * 10_000,
        }
    )
    evidence.grown = {"types": [Grown(long, [1, 2], [0, 5])] * 30}
    evidence.notes = [long] * 10_000

    assert len(render.markdown(evidence)) < 200_000
    assert len(json.dumps(evidence.plain())) < 5_000_000
    assert evidence.plain()["facts"]["threads"][-1] == "and 9701 more"
