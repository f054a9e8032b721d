"""The text format: what is written is what a parser reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from exporter.collector.exposition import Family, labels, render


def test_a_scrape_reads_as_the_format_wants_it() -> None:
    text = render(
        [
            Family("up", "gauge", "Whether it is.", [(labels(agent="a"), 1), ("", 0.5)]),
            Family("none", "gauge", "Left out.", []),
            Family("big_total", "counter", "Counts.", [("", 2**53 + 1)]),
        ]
    )
    assert text == (
        b"# HELP up Whether it is.\n# TYPE up gauge\n"
        b'up{agent="a"} 1\nup 0.5\n'
        b"# HELP big_total Counts.\n# TYPE big_total counter\n"
        b"big_total 9007199254740993\n"
    )


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=False), st.integers())
def test_any_label_and_any_value_come_back(text: str, number: float, whole: int) -> None:
    rendered = render(
        [Family("m", "gauge", "M.", [(labels(one=text, two="x"), number), ("", whole)])]
    )
    (family,) = text_string_to_metric_families(rendered.decode())
    assert [(sample.labels, sample.value) for sample in family.samples] == [
        ({"one": text, "two": "x"}, number),
        ({}, whole),
    ]
