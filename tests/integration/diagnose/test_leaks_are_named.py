"""The report on a real leaking process names what leaks first; on a busy one, nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.stack.leaking_agents import EVENTLET_PATHS, PYTHONS
from demo.stack.processes import wait_until
from memleash_responder.adapters.diagnoser_program import Verb
from tests.integration.diagnose.conftest import Agent, Diagnosis, Heart

pytestmark = pytest.mark.integration

Diagnoses = Callable[..., Diagnosis]


TRIES = 3


def diagnosed(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return a report whose looks are all sure: on a loaded machine lists change under the walk."""
    wait_until("the agent is past its start", lambda: holds_much(diagnosis.plan.target))
    for number in range(TRIES):
        run = f"{diagnosis.plan.run}-{number}"
        one = dataclasses.replace(diagnosis, plan=dataclasses.replace(diagnosis.plan, run=run))
        one.tell(Verb.START)
        assert one.ended() == {"state": "done", "outcome": "complete"}
        report = one.report()
        if not report["unsure_looks"]:
            break
    return report


def holds_much(pid: str) -> bool:
    """Return whether an agent of agents/ holds a thousand things: a census lists no short list.

    Of one without a heart (yet), the switches of a thread tell it. Seen: 50 of them say nothing,
    since a start on a loaded machine has as many.
    """
    environ = dict(
        entry.split("=", 1)
        for entry in Path("/proc", pid, "environ").read_text(errors="replace").split("\0")
        if "=" in entry
    )
    heart = Path(environ.get("HEART", "none"))
    if heart.exists():
        return int((heart.read_text() or "0").split()[0]) > 50
    switches = [
        int((task / "status").read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0])
        for task in Path("/proc", pid, "task").iterdir()
    ]
    return max(switches) > 500


def first_suspect(report: dict[str, Any]) -> str:
    return str(report["md"].split("## What grew in every round\n\n")[1].splitlines()[0])


@pytest.mark.heartbeat
@pytest.mark.parametrize("python", PYTHONS)
def test_a_list_that_grows_is_named_with_what_is_in_it(
    agent: Agent, diagnosis_of: Diagnoses, heart: Heart, python: str
) -> None:
    report = diagnosed(diagnosis_of(agent("leaks_a_list.py", python=python).pid))

    assert report["way"] == "census"
    assert first_suspect(report).startswith("- list `__main__.SESSIONS` grew by ")
    assert "of `Session`" in first_suspect(report)
    assert report["grown"]["types"][0]["name"] == "__main__.Session", report["unsure_looks"]
    assert len(report["grown"]["types"][0]["counts"]) == 5
    assert heart.goes_on()


@pytest.mark.heartbeat
@pytest.mark.parametrize("python", PYTHONS)
def test_a_cache_without_a_limit_is_named_while_the_main_thread_sleeps(
    agent: Agent, diagnosis_of: Diagnoses, heart: Heart, python: str
) -> None:
    report = diagnosed(diagnosis_of(agent("leaks_a_cache.py", python=python).pid))

    assert first_suspect(report).startswith("- dict `Store.answers` grew by ")
    assert report["grown"]["types"][0]["name"] == "builtins.list"
    assert heart.goes_on()


@pytest.mark.heartbeat
@pytest.mark.parametrize("python", PYTHONS)
def test_cycles_with_del_are_named_by_their_type(
    agent: Agent, diagnosis_of: Diagnoses, heart: Heart, python: str
) -> None:
    report = diagnosed(diagnosis_of(agent("leaks_cycles.py", python=python).pid))

    assert first_suspect(report).startswith("- type `__main__.Node` grew by ")
    assert report["containers"] == []
    assert heart.goes_on()


@pytest.mark.heartbeat
@pytest.mark.parametrize("python", EVENTLET_PATHS)
def test_what_an_eventlet_agent_keeps_is_named_while_its_main_thread_sleeps(
    agent: Agent, diagnosis_of: Diagnoses, heart: Heart, python: str
) -> None:
    words = ("leaks_under_green_threads.py", "eventlet")
    child = agent(*words, python=python, path=EVENTLET_PATHS[python])

    report = diagnosed(diagnosis_of(child.pid))

    assert report["way"] == "census"
    assert first_suspect(report).startswith("- list `Queue.done` grew by ")
    assert "of `Job`" in first_suspect(report)
    first_types = {grown["name"] for grown in report["grown"]["types"][:3]}
    assert "__main__.Job" in first_types  # before it what it holds: a list, and until 3.10 a dict
    assert heart.goes_on()
    assert child.poll() is None


@pytest.mark.heartbeat
def test_a_busy_agent_that_leaks_nothing_has_an_empty_growth_list(
    agent: Agent, diagnosis_of: Diagnoses, heart: Heart
) -> None:
    report = diagnosed(diagnosis_of(agent("is_busy.py").pid, rounds=6))

    assert report["grown"] == {"types": []}
    assert report["containers"] == []
    assert first_suspect(report) == "Nothing did."
    assert heart.goes_on()


@pytest.mark.alone
def test_with_the_hook_growth_is_exact_and_sites_are_named_by_file_and_line(
    agent: Agent, diagnosis_of: Diagnoses, heart: Heart
) -> None:
    child = agent("has_a_hook.py")

    report = diagnosed(diagnosis_of(child.pid, kinds=("types", "sites")))

    assert report["way"] == "own hook"
    assert report["unsure_looks"] == 0
    assert "has_a_hook.py:12` allocated" in first_suspect(report)
    assert report["containers"][0]["name"] == "__main__.HELD"
    assert diagnosed(diagnosis_of(child.pid, run="second"))["containers"]
    # Sites are traced in the agent: it stands still while tracemalloc copies what it traced.
    assert heart.works_on()


@pytest.mark.alone
def test_what_a_c_program_holds_is_told_by_chunk_size_and_mapping(
    agent: Agent, diagnosis_of: Diagnoses, heart: Heart, leaking_c: Path
) -> None:
    report = diagnosed(diagnosis_of(agent(leaking_c).pid, profile="native", interval_seconds=1.0))

    assert first_suspect(report).startswith("- malloc chunks of size `1024` grew by ")
    assert [one["name"] for one in report["grown"]["mappings"]] == ["[heap] rw-p"]
    assert "main" in report["texts"]["raw/stacks-native.txt"]
    assert heart.goes_on()


def test_a_busy_c_program_that_leaks_nothing_has_an_empty_growth_list(
    agent: Agent, diagnosis_of: Diagnoses, leaking_c: Path
) -> None:
    child = agent(leaking_c, "gives-everything-back")

    report = diagnosed(diagnosis_of(child.pid, profile="native", rounds=6))

    assert report["grown"] == {"chunks": [], "mappings": []}
