"""The report on a real leaking process names what leaks first; on a busy one, nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from responder.diagnose.shipping import Verb
from tests.integration.diagnose.conftest import Agent, Collector, eventually

pytestmark = pytest.mark.integration

PYTHONS = [sys.executable, *os.environ.get("MEMLEASH_TEST_PYTHONS", "").split()]
"""The interpreters that agents are run with; the environment may give more of them."""

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


@pytest.mark.parametrize("python", PYTHONS)
def test_a_list_that_grows_is_named_with_what_is_in_it(
    agent: Agent, collector: Collectors, python: str
) -> None:
    report = diagnosed(collector(agent("leaks_a_list.py", python=python).pid))

    assert first_suspect(report).startswith("- list `__main__.SESSIONS` grew by ")
    assert "of `Session`" in first_suspect(report)
    assert report["grown"]["types"][0]["name"] == "__main__.Session"
    assert len(report["grown"]["types"][0]["counts"]) == 5


@pytest.mark.parametrize("python", PYTHONS)
def test_a_cache_without_a_limit_is_named_while_the_main_thread_sleeps(
    agent: Agent, collector: Collectors, python: str
) -> None:
    report = diagnosed(collector(agent("leaks_a_cache.py", python=python).pid))

    assert first_suspect(report).startswith("- dict `Store.answers` grew by ")
    assert report["grown"]["types"][0]["name"] == "builtins.list"
    assert report["way"] == "parked call"


@pytest.mark.parametrize("python", PYTHONS)
def test_cycles_with_del_are_named_by_their_type(
    agent: Agent, collector: Collectors, python: str
) -> None:
    report = diagnosed(collector(agent("leaks_cycles.py", python=python).pid))

    assert first_suspect(report).startswith("- type `__main__.Node` grew by ")
    assert report["containers"] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_sites_are_named_by_file_and_line(agent: Agent, collector: Collectors, python: str) -> None:
    child = agent("leaks_a_list.py", python=python)

    report = diagnosed(collector(child.pid, kinds=("types", "sites")))

    assert report["grown"]["sites"][0]["name"].endswith("leaks_a_list.py:11")
    assert "leaks_a_list.py:11` allocated" in first_suspect(report)


@pytest.mark.parametrize("python", PYTHONS)
def test_a_busy_agent_that_leaks_nothing_has_an_empty_growth_list(
    agent: Agent, collector: Collectors, python: str
) -> None:
    child = agent("is_busy.py", python=python)

    report = diagnosed(collector(child.pid, rounds=6, kinds=("types", "sites")))

    assert report["grown"] == {"types": [], "sites": []}
    assert report["containers"] == []
    assert first_suspect(report) == "Nothing did."


def test_a_c_program_is_named_by_function_and_line(
    agent: Agent, collector: Collectors, leaking_c: Path
) -> None:
    report = diagnosed(collector(agent(leaking_c).pid, profile="native"))

    assert "`remember_request`" in first_suspect(report)
    assert report["allocation_sites"][0]["function"] == "remember_request"
    assert report["allocation_sites"][0]["where"].endswith("leaks.c:15")
    assert [one["name"] for one in report["grown"]["chunks"]] == ["1024"]
    assert "main" in report["texts"]["raw/stacks-native.txt"]


def test_a_busy_c_program_that_leaks_nothing_has_an_empty_growth_list(
    agent: Agent, collector: Collectors, leaking_c: Path
) -> None:
    child = agent(leaking_c, "gives-everything-back")

    report = diagnosed(collector(child.pid, profile="native", rounds=6))

    assert report["grown"] == {"chunks": []}
    assert report["allocation_sites"] == []


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
