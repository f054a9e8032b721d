"""The report on a real leaking process names what leaks first; on a busy one, nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from responder.diagnose.shipping import Verb
from tests.integration.diagnose.conftest import Agent, Collector, eventually

pytestmark = pytest.mark.integration

Collectors = Callable[..., Collector]


def diagnosed(collector: Collector) -> dict[str, Any]:
    eventually(lambda: has_run(collector.order.target), what="the agent is past its start")
    collector.tell(Verb.START)
    assert collector.ended() == {"state": "done", "outcome": "complete"}
    return collector.report()


def has_run(pid: str) -> bool:
    switches = [
        int((task / "status").read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0])
        for task in Path("/proc", pid, "task").iterdir()
    ]
    return max(switches) > 50


def first_suspect(report: dict[str, Any]) -> str:
    return str(report["md"].split("## What grew in every round\n\n")[1].splitlines()[0])


def test_what_a_c_program_holds_is_told_by_chunk_size_and_mapping(
    agent: Agent, collector: Collectors, leaking_c: Path
) -> None:
    report = diagnosed(collector(agent(leaking_c).pid, profile="native"))

    assert first_suspect(report).startswith("- malloc chunks of size `1024` grew by ")
    assert [one["name"] for one in report["grown"]["mappings"]] == ["[heap] rw-p"]
    assert "main" in report["texts"]["raw/stacks-native.txt"]


def test_a_busy_c_program_that_leaks_nothing_has_an_empty_growth_list(
    agent: Agent, collector: Collectors, leaking_c: Path
) -> None:
    child = agent(leaking_c, "gives-everything-back")

    report = diagnosed(collector(child.pid, profile="native", rounds=6))

    assert report["grown"] == {"chunks": [], "mappings": []}


def test_an_agent_with_the_hook_needs_no_debugger(
    agent: Agent, collector: Collectors, tmp_path: Path
) -> None:
    diagnosis = collector(agent("has_a_hook.py").pid)
    diagnosis.path = str(tmp_path / "no-tools")

    report = diagnosed(diagnosis)

    assert report["way"] == "own hook"
    assert first_suspect(report).startswith("- list `__main__.HELD` grew by ")
    assert diagnosed_again(collector(int(diagnosis.order.target), run="second"))


def diagnosed_again(collector: Collector) -> bool:
    return bool(diagnosed(collector)["containers"])
