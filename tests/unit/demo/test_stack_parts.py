from __future__ import annotations

import os
import socket
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from demo.stack import configs
from demo.stack.layout import Ports
from demo.stack.ports import reserve_ports
from demo.stack.processes import NotInTime, Program, ProgramFailed, wait_until
from demo.stack.stalling_clients import Siege

SLEEPER = """
import subprocess, time
subprocess.Popen(["sleep", "600"])
print("up", flush=True)
time.sleep(600)
"""


def _program(tmp_path: Path, code: str, *, answers: str = "up") -> Program:
    log = tmp_path / "log"
    return Program("it", [sys.executable, "-c", code], log, lambda: answers in log.read_text())


def test_two_stacks_never_get_the_same_port() -> None:
    with reserve_ports() as first, reserve_ports() as second:
        assert set(first).isdisjoint(second)
        assert len(first) >= len(fields(Ports))


def test_a_reserved_port_can_be_listened_on() -> None:
    with reserve_ports() as ports, socket.create_server(("127.0.0.1", ports[0])):
        pass


def test_waiting_returns_what_came_and_names_what_did_not() -> None:
    assert wait_until("a number", lambda: 3) == 3
    with pytest.raises(NotInTime, match="expected a number; seen after 0 s: four"):
        wait_until("a number", lambda: None, timeout_seconds=0, seen=lambda: "four")


def test_a_program_ends_with_everything_it_started(tmp_path: Path) -> None:
    program = _program(tmp_path, SLEEPER)
    program.start()
    group = program.pid
    program.stop()
    assert not program.running()
    wait_until("the whole group to be gone", lambda: not _group_lives(group))


def test_a_program_that_ends_at_once_fails_with_the_end_of_its_log(tmp_path: Path) -> None:
    program = _program(tmp_path, "import sys; sys.exit('no such luck')")
    with pytest.raises(ProgramFailed, match=r"code 1\n.*\n.*no such luck"):
        program.start()


def test_a_program_that_never_answers_fails_and_can_be_stopped(tmp_path: Path) -> None:
    program = _program(tmp_path, SLEEPER, answers="never")
    with pytest.raises(ProgramFailed, match="expected it to answer"):
        program.start(timeout_seconds=0.3)
    program.stop()


def test_a_siege_with_too_few_open_files_says_what_to_do() -> None:
    with pytest.raises(OSError, match="`ulimit -n 1000000100`"), Siege(1, 10**9).laid():
        pass


def test_waiting_times_of_rules_shrink_as_the_scrape_interval_does() -> None:
    rules = "  - alert: A\n    expr: up == 0\n    for: 1m\n    keep_firing_for: 10s # why\n"
    assert configs.quick_rules(rules) == (
        "  - alert: A\n    expr: up == 0\n    for: 4s\n    keep_firing_for: 1s # why\n"
    )


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
