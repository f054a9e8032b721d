"""A signal with a log, URLs and a command: asked for twice, bounded, a line when it fails."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.stack.processes import wait_until
from memleash_diagnoser import ask_agent
from memleash_responder.adapters.diagnoser_program import Verb
from memleash_responder.core.diagnosis_settings import AgentCommand, AgentSignal
from tests.integration.diagnose.conftest import Agent, Diagnosis

pytestmark = pytest.mark.integration

Diagnoses = Callable[..., Diagnosis]


@pytest.fixture
def offers(agent: Agent, tmp_path: Path) -> Callable[..., tuple[int, str, Path]]:
    """Start the agent that offers evidence; return its pid, its URL and its log."""

    def start(*more: str) -> tuple[int, str, Path]:
        log, port = tmp_path / "agent.log", tmp_path / "port"
        child = agent("offers.py", log, port, *more)
        number = wait_until("the agent listens", lambda: port.exists() and port.read_text())
        return child.pid, f"http://127.0.0.1:{number}", log

    return start


def asked_for(diagnosis: Diagnosis) -> dict[str, Any]:
    diagnosis.tell(Verb.START)
    assert diagnosis.ended() == {"state": "done", "outcome": "complete"}
    return diagnosis.report()


def order(**changes: Any) -> dict[str, Any]:
    return {"profile": "none", "rounds": 1, "interval_seconds": 0.1, **changes}


@pytest.mark.parametrize("how", ["stays", "rotate"])
def test_the_new_lines_of_its_log_are_fetched_also_when_the_log_is_rotated(
    offers: Callable[..., tuple[int, str, Path]], diagnosis_of: Diagnoses, how: str
) -> None:
    pid, _, log = offers(how)

    report = asked_for(diagnosis_of(pid, **order(signal=AgentSignal("USR2", str(log)))))

    dump = "the dump begins\nthe dump ends, password=<redacted>\n"
    assert report["texts"]["raw/signal-first.txt"] == dump
    assert report["texts"]["raw/signal-last.txt"] == dump


def test_a_signal_that_would_end_the_agent_is_not_sent(
    offers: Callable[..., tuple[int, str, Path]], diagnosis_of: Diagnoses
) -> None:
    pid, _, log = offers()

    report = asked_for(diagnosis_of(pid, **order(signal=AgentSignal("USR1", str(log)))))

    note = "signal-first: it does not catch SIGUSR1, which would end it: not sent"
    assert note in report["notes"]
    assert report["files"] == []


def test_a_url_is_fetched_before_and_after_the_rounds(
    offers: Callable[..., tuple[int, str, Path]], diagnosis_of: Diagnoses
) -> None:
    pid, url, _ = offers()

    report = asked_for(diagnosis_of(pid, **order(urls=(f"{url}/heap",))))

    assert report["files"] == ["raw/url-1-first.bin", "raw/url-1-last.bin"]
    assert [look["seconds"] for look in report["memory"]] != []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("elsewhere", "answered 302"),
        ("large", f"is larger than {ask_agent.MOST_BYTES} bytes"),
        ("drips", "was not done in 10 s"),
    ],
)
def test_a_url_that_leads_elsewhere_or_has_no_end_is_a_line_in_the_report(
    offers: Callable[..., tuple[int, str, Path]], diagnosis_of: Diagnoses, path: str, told: str
) -> None:
    pid, url, _ = offers()

    report = asked_for(diagnosis_of(pid, **order(rounds=0, urls=(f"{url}/{path}",))))

    assert report["notes"] == [f"url-1-first: {url}/{path} {told}"]


def test_a_command_is_told_the_pid_and_its_output_is_kept(
    offers: Callable[..., tuple[int, str, Path]], diagnosis_of: Diagnoses
) -> None:
    pid, _, _ = offers()
    command = AgentCommand((sys.executable, "-c", "import sys; print(sys.argv[1])", "{pid}"))

    report = asked_for(diagnosis_of(pid, **order(rounds=0, command=command)))

    assert report["texts"]["raw/command-first.txt"] == f"{pid}\n"


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("/bin/sh", "-c", "trap '' TERM; sleep 100 & wait"), "sh was not done in 1 s"),
        (("/bin/false",), "false failed: it said nothing"),
        (("/no/such/command",), "/no/such/command cannot be run: No such file or directory"),
    ],
)
def test_a_command_that_fails_or_hangs_is_a_line_in_the_report(
    offers: Callable[..., tuple[int, str, Path]],
    diagnosis_of: Diagnoses,
    argv: tuple[str, ...],
    told: str,
) -> None:
    pid, _, _ = offers()

    command = AgentCommand(argv, timeout=1.0)  # type: ignore[arg-type]
    report = asked_for(diagnosis_of(pid, **order(rounds=0, command=command)))

    assert report["notes"] == [f"command-first: {told}"]
