"""However a diagnosis ends, no marker stays in force and nothing stays in the agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.stack.processes import wait_until
from memleash_diagnoser import process
from memleash_exporter.decisions import markers
from memleash_responder.adapters.diagnoser_program import Verb
from tests.integration.diagnose.conftest import Agent, Diagnosis, Heart

pytestmark = pytest.mark.integration

Diagnoses = Callable[..., Diagnosis]


def in_force(marker: Path) -> bool:
    """Return whether the exporter takes ``marker`` for a live one."""
    try:
        parsed = markers.parse(marker.read_bytes(), marker.stat().st_mtime)
    except FileNotFoundError:
        return False
    try:
        ticks = process.find(parsed.pid or 0).start_ticks
    except process.Gone:
        ticks = None
    return markers.is_live(parsed, time.time(), ticks)


def hook_works(pid: int) -> bool:
    """Return whether the hook has its thread beside the agent's only one."""
    return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1


def at_work(diagnosis: Diagnosis, agent_pid: int) -> int:
    """Start, wait until the hook is in the agent, and return the diagnoser's pid."""
    started = diagnosis.tell(Verb.START)
    wait_until("the hook is in the agent", lambda: hook_works(agent_pid))
    return int(started["pid"])


@pytest.fixture
def hooked(agent: Agent, heart: Heart) -> subprocess.Popen[bytes]:
    """An agent that has the hook and is past its start."""
    child = agent("has_a_hook.py")
    wait_until("the agent works", lambda: heart.beats() > 0)
    return child


@pytest.fixture
def slow(hooked: subprocess.Popen[bytes], diagnosis_of: Diagnoses) -> Diagnosis:
    """A diagnosis that would take minutes."""
    return diagnosis_of(hooked.pid, interval_seconds=100.0)


def target(diagnosis: Diagnosis) -> int:
    return int(diagnosis.plan.target)


def test_the_exporter_says_busy_while_it_runs_and_idle_afterwards(
    hooked: subprocess.Popen[bytes], diagnosis_of: Diagnoses
) -> None:
    diagnosis = diagnosis_of(hooked.pid)

    at_work(diagnosis, target(diagnosis))
    (marker,) = diagnosis.markers()
    reason = json.loads(marker.read_text())["reason"]

    assert reason == "memory diagnosis"
    assert in_force(marker)
    assert diagnosis.ended()["state"] == "done"
    assert diagnosis.markers() == []
    wait_until("the hook leaves", lambda: not hook_works(target(diagnosis)))


def test_cleaning_up_leaves_nothing_on_the_host(
    hooked: subprocess.Popen[bytes], diagnosis_of: Diagnoses
) -> None:
    diagnosis = diagnosis_of(hooked.pid)
    diagnosis.tell(Verb.START)
    diagnosis.ended()

    assert diagnosis.tell(Verb.CLEAN) == {"state": "unknown"}

    assert not Path(diagnosis.plan.work_root).exists()
    assert diagnosis.tell(Verb.STATUS) == {"state": "unknown"}


def test_starting_the_same_run_twice_starts_one(slow: Diagnosis) -> None:
    first = slow.tell(Verb.START)

    assert slow.tell(Verb.START) == first
    slow.tell(Verb.STOP)
    slow.ended()


def test_a_running_diagnosis_is_not_cleaned_away(slow: Diagnosis) -> None:
    at_work(slow, target(slow))

    assert "still running" in slow.tell(Verb.CLEAN)["error"]
    slow.tell(Verb.STOP)
    assert slow.ended()["state"] == "done"


def test_told_to_stop_it_lets_go_at_once_and_keeps_what_it_has(slow: Diagnosis) -> None:
    at_work(slow, target(slow))

    slow.tell(Verb.STOP)

    assert slow.ended(seconds=15) == {"state": "done", "outcome": "cut"}
    assert slow.markers() == []
    wait_until("the hook leaves", lambda: not hook_works(target(slow)))
    report = slow.report()
    assert "cut off: told to end" in report["notes"]
    assert report["facts"]["status"]["Name"]


def test_at_its_deadline_it_lets_go_and_keeps_what_it_has(
    hooked: subprocess.Popen[bytes], diagnosis_of: Diagnoses
) -> None:
    diagnosis = diagnosis_of(hooked.pid, interval_seconds=100.0, max_seconds=4.0)

    diagnosis.tell(Verb.START)

    assert diagnosis.ended(seconds=20) == {"state": "done", "outcome": "cut"}
    assert diagnosis.markers() == []
    assert "cut off: it may take 4 s" in diagnosis.report()["notes"]


def test_killed_outright_its_marker_is_dead_and_the_hook_leaves_by_itself(
    slow: Diagnosis,
) -> None:
    pid = at_work(slow, target(slow))
    (marker,) = slow.markers()

    os.kill(pid, signal.SIGKILL)

    wait_until("the marker is dead", lambda: not in_force(marker))
    assert slow.tell(Verb.STATUS)["state"] == "died"
    wait_until("the lease runs out", lambda: not hook_works(target(slow)), timeout_seconds=45)


def test_when_the_agent_ends_so_does_the_diagnosis(
    hooked: subprocess.Popen[bytes], diagnosis_of: Diagnoses
) -> None:
    diagnosis = diagnosis_of(hooked.pid, interval_seconds=100.0)
    at_work(diagnosis, hooked.pid)

    hooked.kill()
    hooked.wait()

    assert diagnosis.ended(seconds=20) == {"state": "done", "outcome": "gone"}
    assert diagnosis.markers() == []
    assert diagnosis.report()["facts"]["identity"]["pid"] == hooked.pid


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"start_time": 1000.0}, "another_life"),
        ({"max_rss_bytes": 1024}, "too_large"),
        ({"free_disk_bytes": 2**62}, "disk_full"),
        ({"discover": "pidfile", "target": "/nonexistent"}, "agent_not_found"),
        ({"discover": "cmdline", "target": "no such program anywhere [x]"}, "agent_not_found"),
    ],
)
def test_what_must_not_be_looked_at_is_refused_untouched(
    hooked: subprocess.Popen[bytes], diagnosis_of: Diagnoses, changes: dict[str, Any], reason: str
) -> None:
    diagnosis = diagnosis_of(hooked.pid, **changes)

    diagnosis.tell(Verb.START)

    ended = diagnosis.ended()
    assert (ended["state"], ended["reason"]) == ("refused", reason)
    assert diagnosis.markers() == []
    assert not hook_works(hooked.pid)


def test_a_folder_that_others_may_write_to_is_not_used(
    hooked: subprocess.Popen[bytes], diagnosis_of: Diagnoses
) -> None:
    diagnosis = diagnosis_of(hooked.pid)
    Path(diagnosis.plan.work_root).mkdir(mode=0o700)
    Path(diagnosis.plan.work_root).chmod(0o777)

    assert "only this user" in diagnosis.tell(Verb.START)["error"]


def test_secrets_of_the_environment_are_not_in_the_report(
    hooked: subprocess.Popen[bytes], diagnosis_of: Diagnoses
) -> None:
    diagnosis = diagnosis_of(hooked.pid, rounds=1, locals=True)

    diagnosis.tell(Verb.START)
    diagnosis.ended()

    report = diagnosis.report()
    assert report["facts"]["program"]["environment"]["AGENT_PASSWORD"] == "<redacted>"
    assert all("hunter2" not in text for text in report["texts"].values())


def test_tools_that_are_missing_are_lines_in_the_report(
    hooked: subprocess.Popen[bytes], diagnosis_of: Diagnoses, tmp_path: Path
) -> None:
    diagnosis = diagnosis_of(hooked.pid)
    diagnosis.path = str(tmp_path / "no-tools")

    diagnosis.tell(Verb.START)

    assert diagnosis.ended() == {"state": "done", "outcome": "complete"}
    assert any("py-spy is missing: install py-spy" in note for note in diagnosis.report()["notes"])
