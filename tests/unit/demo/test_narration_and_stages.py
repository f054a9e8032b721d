from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from demo.__main__ import main, tell_failure
from demo.narration import Narrator, StepFailed
from demo.restart_timing import Stages
from demo.stack.http import CallFailed


def _no_answer() -> bool:
    raise CallFailed("GET http://127.0.0.1:1/: refused")


def test_what_was_expected_and_came_is_told_under_its_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    narrator = Narrator()
    narrator.step(2, "growth")
    assert narrator.expect("a number", lambda: 7) == 7
    told = capsys.readouterr().out
    assert told.startswith("\n2. growth\n")
    assert told.endswith(" s  a number\n")


@pytest.mark.parametrize("look", [lambda: None, _no_answer])
def test_what_does_not_come_ends_the_story_with_step_expected_and_seen(look: object) -> None:
    narrator = Narrator()
    narrator.step(3, "busy")
    with pytest.raises(StepFailed) as failed:
        narrator.expect("a silence", look, seen=lambda: "two alerts", timeout_seconds=0)  # type: ignore[arg-type]
    assert failed.value.step == "step 3, busy"
    assert (failed.value.expected, failed.value.seen) == ("a silence", "two alerts")


def test_a_check_that_does_not_hold_ends_the_story() -> None:
    with pytest.raises(StepFailed, match="expected one start, seen 2"):
        Narrator().check("one start", holds=False, seen=2)


def test_what_must_not_happen_ends_the_story_when_it_does() -> None:
    with pytest.raises(StepFailed, match="expected no page, seen a page"):
        Narrator().hold("no page", 5, lambda: "a page")


def test_a_failure_names_step_expected_seen_and_the_logs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert tell_failure(StepFailed("step 4", "silence", "noise"), tmp_path) == 1
    told = capsys.readouterr().err
    for word in ("step 4", "silence", "noise", str(tmp_path / "logs")):
        assert word in told


def test_without_the_newest_tools_the_demo_says_how_to_get_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("demo.stack.tools._NEWEST", tmp_path)
    assert main(["--tools", "newest"]) == 1
    assert "make setup" in capsys.readouterr().err


def test_stages_are_told_in_the_order_they_were_reached_with_the_time_between() -> None:
    stages = Stages()
    stages.take_alert({"activeAt": "2026-01-01T00:00:01.500000000Z"})
    stages.reached("limit passed", datetime(2026, 1, 1, tzinfo=UTC))
    restart = {
        "outcome": "restarted",
        "requested_at": "2026-01-01T00:00:02Z",
        "command_sent_at": "2026-01-01T00:00:03Z",
        "finished_at": "2026-01-01T00:00:09Z",
        "steps": [
            {"step": "ready", "started_at": 1767225604.0, "seconds": 3.0},
            {"step": "reconnect", "started_at": 1767225607.0, "seconds": 1.0},
        ],
    }
    stages.take_restart(restart, "2026-01-01T00:00:03.250Z started pid=7")
    _, _, *lines = stages.table().splitlines()
    assert [line.strip().split("  ")[0] for line in lines] == [
        "limit passed",
        "alert fires",
        "webhook again: admitted",
        "SSH command sent",
        "the service starts a new process",
        "ready",
        "connected",
        "released: restarted",
    ]
    assert lines[1].split()[-4:] == ["1.50", "s", "1.50", "s"]
    assert lines[-1].split()[-4:] == ["9.00", "s", "1.00", "s"]
