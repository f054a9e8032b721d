"""What the settings let an agent be asked for, and what is refused when they are read."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from memleash_diagnoser import plan
from memleash_responder.core.diagnosis_settings import Diagnose
from memleash_toolkit.settings import ConfigError, build

DISCOVER = {"pidfile": "/run/a.pid"}


def settings(**changes: object) -> Diagnose:
    return build(Diagnose, {"discover": DISCOVER, **changes}, Path("responder.yml"))


def test_nothing_is_asked_and_nothing_is_written_unless_the_settings_say_so() -> None:
    found = settings()

    assert (found.signal, found.urls, found.command, found.remote_exec) == (None, (), None, False)


def test_a_signal_urls_and_a_command_are_taken() -> None:
    found = settings(
        signal={"name": "RTMIN+3", "log": "/var/log/a.log"},
        urls=["http://127.0.0.1:6060/debug/pprof/heap", "https://[::1]:8443/heap?debug=1"],
        command={"argv": ["/usr/bin/jcmd", "{pid}", "GC.class_histogram"], "timeout": "20s"},
    )

    assert found.signal is not None
    assert found.signal.name == "RTMIN+3"
    assert found.command is not None
    assert float(found.command.timeout) == 20.0


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"signal": {"name": "KILL", "log": "/l"}}, "signal 'KILL' must be USR1"),
        ({"signal": {"name": "TERM", "log": "/l"}}, "signal 'TERM' must be USR1"),
        ({"signal": {"name": "SIGUSR2", "log": "/l"}}, "signal 'SIGUSR2' must be USR1"),
        ({"signal": {"name": "RTMIN+31", "log": "/l"}}, "RTMIN"),
        ({"signal": {"name": "USR2", "log": "agent.log"}}, "absolute path"),
        ({"urls": ["file:///etc/shadow"]}, "http"),
        ({"urls": ["http:///heap"]}, "http"),
        ({"urls": ["http://a b/"]}, "http"),
        ({"urls": ["http://a/\nHost: b"]}, "http"),
        ({"urls": ["http://me:secret@a/"]}, "http"),
        ({"urls": ["http://a:0/"]}, "http"),
        ({"urls": ["http://a:99999/"]}, "http"),
        ({"command": {"argv": []}}, "argv"),
        ({"command": {"argv": ["jcmd"]}}, "absolute path"),
        ({"command": {"argv": ["/a", ""]}}, "argv"),
        ({"command": {"argv": ["/a"], "timeout": "0s"}}, "timeout"),
        ({"command": {"argv": ["/a"], "timeout": "1h"}}, "timeout"),
    ],
)
def test_what_could_harm_or_not_work_is_refused_when_the_settings_are_read(
    changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        settings(**changes)


@pytest.mark.parametrize(
    ("name", "number"),
    [("USR2", signal.SIGUSR2), ("QUIT", signal.SIGQUIT), ("RTMIN+3", signal.SIGRTMIN + 3)],
)
def test_a_signals_name_is_its_number(name: str, number: int) -> None:
    assert plan.signal_number(name) == number


@pytest.mark.parametrize("name", ["", "usr2", "SIGUSR2", "RTMIN+99", "RTMIN+-1", "_IGN"])
def test_what_is_no_signals_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no signal"):
        plan.signal_number(name)


def test_a_plan_is_the_same_after_it_was_written_and_read() -> None:
    whole = plan.Plan(
        "r1",
        "a",
        "pid",
        "1",
        signal=plan.Signal("USR2", "/l"),
        urls=("http://a/",),
        command=plan.Command(("/a", "b"), 1.0),
    )

    assert plan.parse(plan.text(whole)) == whole
