"""Traced over a whole diagnosis: nothing is written into the agent, called in it or sent to it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.stack.leaking_agents import compiled
from demo.stack.processes import wait_until
from memleash_diagnoser import process, stacks, tools
from memleash_responder.adapters import diagnoser_program as shipping
from tests.integration.diagnose.conftest import MIB, Agent, Diagnosis, Heart

pytestmark = pytest.mark.integration

Diagnoses = Callable[..., Diagnosis]
FORCE = re.compile(
    r"PTRACE_(?:POKE|SETREG|SETFPREG|SETSIGINFO|SYSCALL|SINGLESTEP)|process_vm_writev\("
    r"|/proc/\d+/(?:task/\d+/)?mem\", O_(?:RDWR|WRONLY)"
)
SIGNALS = re.compile(r"\b(?:kill|tgkill|tkill|pidfd_send_signal|rt_t?g?sigqueueinfo)\((.*)\)")
TRACED = (
    "trace=ptrace,process_vm_writev,kill,tgkill,tkill,pidfd_send_signal,rt_sigqueueinfo,"
    "rt_tgsigqueueinfo,open,openat,openat2,execve"
)


def traced(diagnosis: Diagnosis, folder: Path) -> str:
    """Run a whole diagnosis in the foreground under strace; return all it and its tools did."""
    archive, trace = folder / "diagnoser.zip", folder / "trace"
    archive.write_bytes(shipping.packed())
    run = Path(diagnosis.plan.work_root, diagnosis.plan.run)
    run.mkdir(parents=True)
    plan = json.dumps(dataclasses.asdict(diagnosis.plan))
    argv = [sys.executable, str(archive), "collect", plan]
    subprocess.run(
        ["strace", "-f", "-e", TRACED, "-e", "signal=none", "-o", str(trace), *argv],
        check=True,
        capture_output=True,
    )
    ended = json.loads((run / "ended.json").read_text())
    assert ended == {"state": "done", "outcome": "complete"}
    return trace.read_text()


def sent_to(pid: int, trace: str) -> list[str]:
    """Return the signals that were sent to ``pid``, or to its group or all."""
    found = [hit.group(1).split(", ") for hit in SIGNALS.finditer(trace)]
    return [" ".join(words) for words in found if words[0] in (str(pid), f"-{pid}", "-1", "0")]


def programs(trace: str) -> set[str]:
    """Return the names of all programs that were run, or looked for."""
    return {Path(path).name for path in re.findall(r'execve\("([^"]+)"', trace)}


@pytest.mark.alone
@pytest.mark.parametrize("name", ["leaks_a_list.py", "leaks_a_cache.py", "has_a_hook.py"])
def test_a_python_agent_is_only_read(
    agent: Agent, diagnosis_of: Diagnoses, heart: Heart, tmp_path: Path, name: str
) -> None:
    child = agent(name)
    wait_until("the agent works", lambda: heart.beats() > 20)

    trace = traced(diagnosis_of(child.pid, native_stacks=True), tmp_path)

    assert FORCE.findall(trace) == []
    assert sent_to(child.pid, trace) == []
    assert f"/proc/{child.pid}/status" in trace
    assert programs(trace) - {Path(sys.executable).name} == {"py-spy", "eu-stack"}
    assert heart.goes_on()


@pytest.mark.alone
def test_a_native_agent_is_only_read(
    agent: Agent, diagnosis_of: Diagnoses, heart: Heart, leaking_c: Path, tmp_path: Path
) -> None:
    child = agent(leaking_c)
    wait_until("the agent works", lambda: heart.beats() > 20)

    trace = traced(diagnosis_of(child.pid, profile="native"), tmp_path)

    assert FORCE.findall(trace) == []
    assert sent_to(child.pid, trace) == []
    assert f'/proc/{child.pid}/mem", O_RDONLY' in trace
    assert f"PTRACE_ATTACH, {child.pid}" in trace
    assert programs(trace) - {Path(sys.executable).name} == {"eu-stack"}
    assert heart.goes_on()


@pytest.mark.parametrize(
    ("call", "is_force"),
    [
        ("1 ptrace(PTRACE_POKEDATA, 7, 0x5, 0x1) = 0", True),
        ("1 ptrace(PTRACE_SETREGSET, 7, NT_PRSTATUS, {}) = 0", True),
        ('1 openat(AT_FDCWD, "/proc/7/task/7/mem", O_RDWR|O_CLOEXEC) = 3', True),
        ("1 process_vm_writev(7, [], 1, [], 1, 0) = 1", True),
        ("1 ptrace(PTRACE_GETREGS, 7, {}, 0x1) = 0", False),
        ('1 openat(AT_FDCWD, "/proc/7/mem", O_RDONLY|O_CLOEXEC) = 3', False),
    ],
)
def test_the_trace_would_show_force(call: str, *, is_force: bool) -> None:
    assert bool(FORCE.search(call)) is is_force


@pytest.mark.alone
def test_eu_stack_killed_at_any_moment_leaves_the_agent_running(
    agent: Agent, heart: Heart, leaking_c: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the kernel when memory runs out: before, while and after it holds the agent."""
    child = agent(leaking_c)
    wait_until("the agent works", lambda: heart.beats() > 20)
    (tmp_path / "eu-stack").write_text(
        "#!/bin/sh\n"
        f'{shutil.which("eu-stack")} "$@" & held=$!\n'
        "{ sleep 0.$(od -An -N2 -tu2 /dev/urandom | tr -d ' \\n' | sed 's/^/0/'); "
        "kill -KILL $held 2>/dev/null; } & wait $held\n"
    )
    (tmp_path / "eu-stack").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = process.find(child.pid)

    for _ in range(100):
        try:
            stacks.of_native(found)
        except tools.Refused:
            continue

    assert heart.goes_on()
    assert "State:\tT" not in Path(f"/proc/{child.pid}/status").read_text()


def test_an_agent_that_a_killed_tool_left_stopped_goes_on(
    agent: Agent, heart: Heart, leaking_c: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = agent(leaking_c)
    wait_until("the agent works", lambda: heart.beats() > 20)
    (tmp_path / "eu-stack").write_text("#!/bin/sh\nkill -STOP $4\nkill -KILL $$\n")
    (tmp_path / "eu-stack").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    with pytest.raises(tools.Refused):
        stacks.of_native(process.find(child.pid))

    before = heart.beats()
    wait_until("the agent works on", lambda: heart.beats() > before)


AGAIN_AND_AGAIN = """
import os, sys
from memleash_diagnoser import collect, plan
asked, folder = plan.parse(sys.argv[1]), sys.argv[2]
for number in range(int(sys.argv[3])):
    path = os.path.join(folder, str(number))
    os.mkdir(path)
    evidence = collect.collect(asked, path)
    assert evidence.outcome == "complete", evidence.notes
    assert evidence.way or asked.profile == "native", evidence.notes
"""


WITHOUT_MEMORY = """
import sys
from memleash_diagnoser import collect, plan
def own(key):
    with open("/proc/self/status") as status:
        return int(status.read().split(key)[1].split()[0]) * 1024
collect.MOST_MEMORY_BYTES = own("VmSize:") + int(sys.argv[3])
evidence = collect.collect(plan.parse(sys.argv[1]), sys.argv[2])
assert own("VmPeak:") <= collect.MOST_MEMORY_BYTES
print(evidence.outcome)
"""


@pytest.mark.alone
@pytest.mark.parametrize("more_bytes", [0, 12 * MIB])
def test_a_diagnoser_that_may_take_no_more_memory_still_reports(
    agent: Agent, diagnosis_of: Diagnoses, heart: Heart, tmp_path: Path, more_bytes: int
) -> None:
    """The first has no memory for its thread, the second none for what it reads of the agent."""
    child = agent("leaks_a_list.py")
    wait_until("the agent holds 6,000 sessions", lambda: heart.beats() > 300)
    words = json.dumps(dataclasses.asdict(diagnosis_of(child.pid).plan))

    argv = [sys.executable, "-c", WITHOUT_MEMORY, words, str(tmp_path), str(more_bytes)]
    done = subprocess.run(argv, check=True, cwd=Path(__file__).parents[3], capture_output=True)

    assert done.stdout == b"failed\n"
    report = json.loads((tmp_path / "report.json").read_text())
    assert any("MemoryError" in note for note in report["notes"]), report["notes"]
    assert report["facts"]["status"]["Name"].startswith("python")
    assert heart.goes_on()


@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("leaks_a_cache.py", 10),
        ("has_a_hook.py", 20),
        ("leaks.c", 100),
    ],
)
def test_an_agent_lives_through_many_diagnoses_in_a_row(
    agent: Agent, diagnosis_of: Diagnoses, heart: Heart, tmp_path: Path, name: str, times: int
) -> None:
    is_native = name == "leaks.c"
    child = agent(compiled(tmp_path) if is_native else name)
    wait_until("the agent works", lambda: heart.beats() > 20)
    plan = diagnosis_of(
        child.pid,
        profile="native" if is_native else "python",
        rounds=1,
        interval_seconds=0.01,
        max_seconds=600.0,
        max_cpu_seconds=3600,
        free_disk_bytes=1,
    ).plan
    (tmp_path / "runs").mkdir()
    words = json.dumps(dataclasses.asdict(plan))

    subprocess.run(
        [sys.executable, "-c", AGAIN_AND_AGAIN, words, str(tmp_path / "runs"), str(times)],
        check=True,
        cwd=Path(__file__).parents[3],
    )

    assert heart.goes_on()
    assert child.poll() is None
