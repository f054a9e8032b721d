"""The scrape as a whole: one agent that breaks takes nobody along, and imports stay light."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from memleash_exporter.adapters import marker_files
from memleash_exporter.adapters.discovery import Walk
from memleash_exporter.collector.agent import AgentWatch
from memleash_exporter.collector.agents_collector import AgentsCollector, Host
from memleash_exporter.collector.sample import AgentSample
from memleash_exporter.settings import BusySource

ROOT = Path(__file__).parents[3]


@pytest.fixture
def collector(fake_procfs: Any, tmp_path: Path) -> AgentsCollector:
    fake_procfs.add(7, cmdline=b"one\0")
    fake_procfs.add(8, cmdline=b"two\0")
    file = tmp_path / "exporter.yml"
    file.write_text(
        json.dumps(
            {
                "agents": [
                    {"name": "one", "discover": {"cmdline": "^one$"}, "busy": [{"markers": {}}]},
                    {"name": "two", "discover": {"cmdline": "^two$"}},
                ]
            }
        )
    )
    return AgentsCollector(file, Host(procfs=fake_procfs.root))


def test_an_agent_that_breaks_is_unknown_and_takes_nobody_along(
    collector: AgentsCollector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sample = AgentWatch.sample

    def broken(watch: AgentWatch, walk: Walk) -> AgentSample:
        if watch.agent.name == "one":
            raise KeyError("a bug")
        return sample(watch, walk)

    monkeypatch.setattr(AgentWatch, "sample", broken)
    text = collector.scrape().decode()
    assert 'memleash_agent_up{agent="two"} 1.0\n' in text
    assert 'memleash_agent_sample_success{agent="one"} 0.0\n' in text
    assert 'memleash_agent_up{agent="one"}' not in text
    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["agent cannot be sampled"]


def test_a_busy_source_that_breaks_is_unknown_and_takes_nothing_else_along(
    collector: AgentsCollector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(marker_files, "busy_since", broken)
    text = collector.scrape().decode()
    assert 'memleash_agent_up{agent="one"} 1.0\n' in text
    assert 'memleash_agent_busy_source_success{agent="one",source="markers"} 0.0\n' in text
    assert 'memleash_agent_busy{agent="one"}' not in text
    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["busy source broke"]


def test_a_kind_of_busy_source_that_nobody_asks_is_an_error_and_never_idle(
    collector: AgentsCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found: whatever was neither children, http nor command was asked as markers: idle."""

    class Forgotten:
        pass

    monkeypatch.setattr(BusySource, "given", property(lambda _: Forgotten()))
    with pytest.raises(AssertionError, match="unreachable"):
        collector.reload()


def test_the_start_time_of_a_life_never_flaps(collector: AgentsCollector) -> None:
    def starts() -> list[str]:
        lines = collector.scrape().decode().splitlines()
        return [line for line in lines if line.startswith("memleash_agent_start_time_seconds{")]

    first = starts()
    assert len(first) == 2
    assert all(starts() == first for _ in range(20))
