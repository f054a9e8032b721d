"""Whatever stands in a file or a payload: it is understood, or there is one clear error."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memleash_exporter.settings import Settings as ExporterSettings
from memleash_responder.adapters import inventory
from memleash_responder.core.alerts import PayloadError, parse_notification
from memleash_responder.settings import Settings as ResponderSettings
from memleash_toolkit import documents
from memleash_toolkit.settings import ConfigError, build, parse_yaml

HERE = Path("fuzz.yml")

KEYS = st.sampled_from(
    re.findall(
        r"\w+",
        """agents inventory files restart_command mode guards cooldown per database mute base name
        matchers controllers tasks_url ssh port fleet storm_fraction targets labels host ssh_address
        busy discover systemd_unit pidfile cmdline limits hard_limit ready http url tcp markers
        children alerts status startsAt fingerprint version truncatedAlerts groupLabels receiver""",
    )
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["5GX", "2GiB", "5m", "-1", "observe", "$(reboot)", "a\nb", "127.0.0.1:1"])
)
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=4) | st.dictionaries(KEYS | st.text(max_size=8), below, max_size=5)
    ),
    max_leaves=20,
)
MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FILES = st.binary(max_size=100) | TREES.map(yaml.safe_dump).map(str.encode)


PIECES = (
    """[ ] { } , : ? - a b a: <<: = "x" 'y' !!str !x &a *a 07 1.5 ~ yes 2026-01-31 2026-13-99"""
    " .nan --- ... |"
)
LINES = st.lists(
    st.sampled_from([*PIECES.split(" "), " ", "\n", "\n  "]),
    max_size=14,
).map("".join)
"""Pieces of YAML, of which many fit together by chance."""


def complaint(read: Callable[[], object]) -> str | None:
    """Return the one line that ``read`` complains in, or None; any other error is a failure."""
    try:
        read()
    except (ConfigError, PayloadError) as error:
        return str(error)
    return None


def is_clear(said: str | None) -> bool:
    return said is None or (said.startswith("fuzz.yml") and said.isprintable())


@MANY
@given(TREES)
def test_the_responders_settings(raw: object) -> None:
    assert is_clear(complaint(lambda: build(ResponderSettings, raw, HERE)))


@MANY
@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_the_exporters_settings(agent: object) -> None:
    assert is_clear(complaint(lambda: build(ExporterSettings, {"agents": [agent]}, HERE)))


@MANY
@given(st.text(max_size=200) | TREES.map(yaml.safe_dump))
def test_yaml_files(text: str) -> None:
    assert is_clear(complaint(lambda: parse_yaml(text, HERE)))


@MANY
@given(content=FILES)
def test_inventory_files(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed-hosts.yml"
    file.write_bytes(content)
    said = complaint(lambda: inventory.load((file,)))
    assert said is None or (said.startswith(str(file)) and said.isprintable())


@MANY
@given(TREES | st.dictionaries(KEYS, TREES, max_size=6))
def test_payloads(raw: object) -> None:
    body = json.dumps(raw)
    said = complaint(lambda: parse_notification(json.loads(body)))
    assert said is None or said.partition(" ")[0]


@MANY
@given(LINES | TREES.map(yaml.safe_dump))
def test_the_short_way_to_read_yaml_reads_what_pyyaml_reads(text: str) -> None:
    def read(by: Callable[[str], object]) -> str:
        try:
            return repr(by(text))
        except documents.DocumentError as error:
            return f"refused: {error}"

    assert read(documents.parse_yaml) == read(documents._any_document)
