"""``memleash-busy`` around real commands: codes, signals, and what is left behind."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.stack.processes import ENDING_WITH_US, wait_until
from memleash_exporter.adapters.marker_files import MarkerFiles, busy_since
from memleash_exporter.adapters.processes import Processes

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "memleash_exporter.memleash_busy")


@pytest.fixture
def markers(tmp_path: Path) -> Path:
    return tmp_path / "busy"


def held(markers: Path) -> list[Path]:
    return sorted((markers / "agent").iterdir()) if (markers / "agent").is_dir() else []


def counts(markers: Path) -> bool:
    """Return whether the exporter says busy."""
    return (
        busy_since(MarkerFiles(markers / "agent"), Processes(Path("/proc")), time.time())
        is not None
    )


def run(markers: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--directory", str(markers), "agent", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        ("agents: [{name: agent, discover: {cmdline: x}}]", ""),
        ("agents: [{name: other, discover: {cmdline: x}}]", "has no agent 'agent'; it has other"),
        ("agents: []", "has no agent 'agent'; it has none"),
        ("agents: 7", ""),
        (None, ""),
    ],
)
def test_a_name_that_the_exporter_does_not_know_is_warned_of(
    markers: Path, tmp_path: Path, content: str | None, warning: str
) -> None:
    file = tmp_path / "exporter.yml"
    if content is not None:
        file.write_text(content)
    done = run(markers, "--config.file", str(file), "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert done.stderr == (f"memleash-busy: warning: {file} {warning}\n" if warning else "")


@pytest.fixture
def start(markers: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start one in the background; it holds its marker and its command runs when this returns."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(script: str, *flags: str) -> subprocess.Popen[bytes]:
        up = markers.parent / f"up-{len(running)}"
        running.append(
            subprocess.Popen(
                [
                    *(*ENDING_WITH_US, *COMMAND),
                    *("--directory", str(markers), *flags, "agent", "--"),
                    *("sh", "-c", script.replace("UP", f"echo $$ > {up}.new; mv {up}.new {up}")),
                ],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                process_group=0,
            )
        )
        wait_until("the command to run", up.exists)
        return running[-1]

    yield begin
    for process in running:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        finally:
            process.wait()


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_commands_code_is_passed_on_and_nothing_left(markers: Path, code: int) -> None:
    assert run(markers, "--", "sh", "-c", f"exit {code}").returncode == code
    assert held(markers) == []


def test_the_marker_says_who_why_and_until_when(markers: Path) -> None:
    finished = run(
        markers,
        *("--reason", 'dump "x"', "--for", "10m", "--"),
        *("sh", "-c", f"cat {markers}/agent/*"),
    )
    marker = json.loads(finished.stdout)
    assert marker["reason"] == 'dump "x"'
    assert marker["pid"] > 1
    assert marker["pid_start_ticks"] > 0
    assert 590 < marker["expires_at"] - time.time() <= 600


def test_flags_after_the_dashes_are_the_commands(markers: Path) -> None:
    assert run(markers, "--", "echo", "--reason", "--", "x").stdout == "--reason -- x\n"


def test_two_markers_count_until_the_last_ends(markers: Path, start: Any) -> None:
    first, second = start("UP; exec sleep 600"), start("UP; exec sleep 600")
    assert len(held(markers)) == 2
    first.terminate()
    assert first.wait(60) == -signal.SIGTERM
    assert counts(markers)
    second.terminate()
    second.wait(60)
    assert not counts(markers)
    assert held(markers) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_reaches_the_command_whose_end_is_ours(
    markers: Path, start: Any, number: signal.Signals
) -> None:
    process = start("UP; exec sleep 600")
    process.send_signal(number)
    assert process.wait(60) == -number
    assert held(markers) == []


def test_a_command_that_cleans_up_is_given_the_time(markers: Path, start: Any) -> None:
    process = start("trap 'exit 9' TERM; UP; while :; do sleep 0.05; done")
    process.terminate()
    assert process.wait(60) == 9
    assert held(markers) == []


@pytest.mark.parametrize("name", ["HUP", "INT"])
def test_a_signal_that_our_caller_ignores_ends_neither_us_nor_the_command(
    markers: Path, name: str
) -> None:
    """As under nohup (HUP) and in a background job (INT)."""
    finished = subprocess.run(
        [
            *("sh", "-c", f'trap "" {name}; "$@"; echo ended with $?', "sh"),
            *(*COMMAND, "--directory", str(markers), "agent", "--"),
            *("sh", "-c", f"kill -{name} $PPID; kill -{name} $$; exit 3"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert finished.stdout == "ended with 3\n"


def test_ctrl_c_reaches_the_command_once(markers: Path, tmp_path: Path) -> None:
    """The terminal sends it to both; passing it on as well would make it two."""
    count = (
        'n=0; trap "n=\\$((n+1))" INT; echo up; '
        "until [ -e over ]; do sleep 0.05; done; sleep 0.3; echo seen $n; exit 5"
    ).replace("\\", "")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execv(
            sys.executable,
            [*COMMAND, "--directory", str(markers), "agent", "--", "bash", "-c", count],
        )
    try:
        output = b""
        while b"up" not in output:
            output += os.read(terminal, 100)
        os.write(terminal, b"\x03")
        while b"^C" not in output:  # echoed once it was sent
            output += os.read(terminal, 100)
        (tmp_path / "over").touch()
        while b"seen" not in output:
            output += os.read(terminal, 100)
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    assert b"seen 1" in output
    assert os.waitstatus_to_exitcode(status) in {5, -signal.SIGHUP}


def test_a_killed_one_stops_counting(markers: Path, start: Any) -> None:
    process = start("UP; exec sleep 600")
    assert counts(markers)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(held(markers)) == 1, "nobody could clean up"
    assert not counts(markers)


def test_it_lets_go_at_its_time_though_the_command_runs_on(markers: Path, start: Any) -> None:
    process = start("UP; exec sleep 600", "--for", "1s")
    wait_until("the marker to expire", lambda: not counts(markers))
    assert process.poll() is None


def test_the_directory_may_come_from_the_environment(markers: Path) -> None:
    finished = subprocess.run(
        [*COMMAND, "agent", "--", "sh", "-c", f"ls {markers}/agent | wc -l"],
        cwd=ROOT,
        env=os.environ | {"MEMLEASH_BUSY_DIRECTORY": str(markers)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert finished.stdout.strip() == "1"


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("--", "/no/such/program"), 127, "/no/such/program: not found"),
        (("--", "/etc/passwd"), 126, "/etc/passwd: Permission denied"),
        ((), 2, "a command is required, after --"),
        (("--for", "10", "--", "true"), 2, "'10' must be a duration"),
    ],
)
def test_what_cannot_be_run_is_named_and_leaves_nothing(
    markers: Path, arguments: tuple[str, ...], code: int, problem: str
) -> None:
    finished = run(markers, *arguments)
    assert finished.returncode == code
    assert problem in finished.stderr
    assert held(markers) == []


def test_without_a_marker_the_command_is_not_run(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    finished = run(blocked, "--", "touch", str(tmp_path / "ran"))
    assert finished.returncode == 125
    assert "cannot place a marker in" in finished.stderr
    assert not (tmp_path / "ran").exists()


def test_an_agent_of_another_directory_is_refused(tmp_path: Path) -> None:
    finished = subprocess.run(
        [*COMMAND, "--directory", str(tmp_path), "../agent", "--", "true"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 2
    assert "'../agent' is not an agent's name" in finished.stderr
