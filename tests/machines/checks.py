"""The diagnoser on another processor and another kernel: the checks that run inside the machine.

tools/machines packs this file into the emulated machine, where init runs it as root:

    python3.11 checks.py processor | yama

Prints a line for each check, and last how many there were and how many failed. Each diagnosed agent
has a twin that nobody looks at: an emulated CPU is slow and halting, so only the two are compared.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PYTHON = "/usr/bin/python3.11"
PROGRAM = "/diagnoser.zip"
"""As the responder sends it."""
AGENT_USER, OTHER_USER = 1000, 2000
WAIT_SECONDS = 300.0
PAUSE_SECONDS = "0.2"
BEATS_BEFORE = 60
SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
ADVICE = {
    1: "so not even the agent's own user may",
    2: "so not even the agent's own user may",
    3: "which forbids it to everybody, even to root",
}
MOST_TIMES_THE_TWINS = 3.0
"""How much longer the longest gap of all may be than the longest of all twins."""
A_LIST = "- list `__main__.SESSIONS` grew by "
AGENTS: dict[str, tuple[str, list[str]]] = {
    "leaks_a_list.py": (A_LIST, ["__main__.Session"]),
    "leaks_a_cache.py": ("- dict `Store.answers` grew by ", ["builtins.list"]),
    "leaks_cycles.py": ("- type `__main__.Node` grew by ", ["builtins.list"]),
    "is_busy.py": ("Nothing did.", []),
}
"""How the report's first line begins, and which type grew most."""
_numbers = itertools.count(1)


def wait_until(what: str, condition: Callable[[], Any]) -> Any:
    until = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {WAIT_SECONDS:.0f} s")
        time.sleep(0.5)
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Agent:
    """An agent of demo/leaking_agents."""

    pid: int
    heart: Path

    def beats(self) -> int:
        return int((self.heart.read_text() or "0").split()[0]) if self.heart.exists() else 0

    def longest_gap_seconds(self) -> float:
        return float(self.heart.read_text().split()[1])

    def works_on(self, beats: int) -> None:
        wait_until("the agent works on", lambda: self.beats() >= beats)


@contextlib.contextmanager
def agents(
    script: str, root: str = "/", python: str = PYTHON, user: int = 0
) -> Iterator[tuple[Agent, Agent]]:
    """Run an agent and its twin in ``root``, a folder with a whole Python of its own."""
    chroot = [] if root == "/" else ["/bin/busybox", "chroot", root]
    with contextlib.ExitStack() as stack:
        started = []
        for _ in range(2):
            heart = f"/tmp/heart-{next(_numbers)}"
            process = subprocess.Popen(
                [*chroot, python, f"/agents/{script}"],
                env={"HEART": heart, "PAUSE": PAUSE_SECONDS, "PYTHONDONTWRITEBYTECODE": "1"},
                **as_user(user),
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            started.append(Agent(process.pid, Path(root, heart[1:])))
        for each in started:
            each.works_on(BEATS_BEFORE)
        yield started[0], started[1]


def as_user(user: int) -> dict[str, Any]:
    return {"user": user, "group": user, "extra_groups": []}


def diagnosed(agent: Agent, user: int = 0, **plan: Any) -> dict[str, Any]:
    """Diagnose as the responder does; return report.json, the first line of what grew as first."""
    given = {
        "run": f"run-{next(_numbers)}",
        "agent": "agent",
        "discover": "pid",
        "target": str(agent.pid),
        "rounds": 3,
        "interval_seconds": 2.0,
        "native_stacks": True,
        "least_growth_bytes": 16384,
        "free_disk_bytes": 1,
        "marker_root": "",
        "work_root": f"/tmp/work-{user}",
        **plan,
    }
    run = Path(given["work_root"], given["run"])
    argv = [PYTHON, PROGRAM, "start", json.dumps(given)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, **as_user(user))
    wait_until("the diagnosis ends", (run / "ended.json").exists)
    ended = json.loads((run / "ended.json").read_text())
    assert ended == {"state": "done", "outcome": "complete"}, ended
    found = json.loads((run / "report/report.json").read_text())
    text = (run / "report/report.md").read_text()
    first = text.split("## What grew in every round\n\n")[1].splitlines()[0]
    return {**found, "first": first}


class Checks:
    """Runs checks one after the other, and counts."""

    def __init__(self) -> None:
        self.done = self.failed = 0
        self.gaps: list[tuple[float, float]] = []

    def check(self, name: str, body: Callable[..., str], *arguments: Any) -> None:
        self.done += 1
        began = time.monotonic()
        try:
            said = f"ok: {name}: {body(*arguments)}"
        except (AssertionError, LookupError, OSError, subprocess.CalledProcessError) as error:
            self.failed += 1
            said = f"FAILED: {name}: {type(error).__name__}: {error}"
        print(f"{said} ({time.monotonic() - began:.0f} s)", flush=True)

    def live_on(self, agent: Agent, twin: Agent) -> str:
        for each in (agent, twin):
            each.works_on(each.beats() + 2)
        status = Path("/proc", str(agent.pid), "status").read_text()
        assert "\nTracerPid:\t0\n" in status, "somebody still traces the agent"
        self.gaps.append((agent.longest_gap_seconds(), twin.longest_gap_seconds()))
        return "longest gap {:.2f} s, its twin's {:.2f} s".format(*self.gaps[-1])

    def compare_gaps(self) -> str:
        longest, twins = map(max, zip(*self.gaps, strict=True))
        said = f"{longest:.2f} s, of the twins {twins:.2f} s"
        assert longest <= MOST_TIMES_THE_TWINS * twins, said
        return said


def processor(checks: Checks) -> None:
    """Each Python of the machine runs each agent."""

    def named(version: str, root: str, script: str) -> str:
        suspect, types = AGENTS[script]
        with agents(script, root, f"/usr/bin/python{version}") as (agent, twin):
            found = diagnosed(agent, rounds=3 if types else 6)
            assert found["way"] == "census", found["notes"]
            assert found["first"].startswith(suspect), found["first"]
            assert [grown["name"] for grown in found["grown"]["types"][:1]] == types, found["grown"]
            assert found["files"] == ["raw/stacks-python.txt", "raw/stacks-native.txt"], found[
                "notes"
            ]
            return f"{found['first']}; {checks.live_on(agent, twin)}"

    for root in [*map(str, sorted(Path("/pythons").iterdir(), reverse=True)), "/"]:
        version = Path(root).name or "3.11"
        for script in AGENTS:
            checks.check(f"CPython {version}, {script}", named, version, root, script)


def yama(checks: Checks) -> None:
    """Each scope from the mildest on, since 3 stays; one agent lives through all of it."""
    with agents("leaks_a_list.py", user=AGENT_USER) as (agent, twin):
        for scope, user in itertools.product((1, 2, 3), (0, AGENT_USER, OTHER_USER)):
            SCOPE.write_text(str(scope))
            checks.check(f"ptrace_scope {scope}, user {user}", told, agent, scope, user)
        checks.check("ptrace_scope 3, native", told_of_mappings, agent)
        checks.check("the agent lives on", checks.live_on, agent, twin)
    with agents("has_a_hook.py", user=AGENT_USER) as (agent, twin):
        for user in (0, AGENT_USER):
            checks.check(f"ptrace_scope 3, the hook, user {user}", told_by_the_hook, agent, user)
        checks.check("the agent with the hook lives on", checks.live_on, agent, twin)


def told(agent: Agent, scope: int, user: int) -> str:
    found = diagnosed(agent, user)
    assert found["facts"]["status"]["Name"].startswith("python"), found["facts"]
    assert found["facts"]["threads"], found["facts"]
    assert user == OTHER_USER or found["facts"]["maps"]["kinds"], found["facts"]
    if scope < 3 and user == 0:
        assert found["first"].startswith(A_LIST), found["first"]
        return str(found["first"])
    assert (found["grown"], found["files"]) == ({}, []), found["grown"]
    for what in ("stacks-python: ", "stacks-native: ", "growth: "):
        line = next((note for note in found["notes"] if note.startswith(what)), "no line")
        assert f"kernel.yama.ptrace_scope is {scope}, {ADVICE[scope]}" in line, found["notes"]
    return " | ".join(found["notes"])


def told_of_mappings(agent: Agent) -> str:
    found = diagnosed(agent, profile="native")
    assert "mappings" in found["grown"], found["grown"]
    assert len(found["memory"]) == 4, found["memory"]
    line = next((note for note in found["notes"] if note.startswith("chunks: ")), "no line")
    assert ADVICE[3] in line, found["notes"]
    return line


def told_by_the_hook(agent: Agent, user: int) -> str:
    found = diagnosed(agent, user)
    assert found["way"] == "own hook", found["notes"]
    assert found["first"].startswith("- list `__main__.HELD` grew by "), found["first"]
    return str(found["first"])


def main() -> None:
    checks = Checks()
    page_bytes = os.sysconf("SC_PAGESIZE")
    print(f"{platform.machine()}, Linux {platform.release()}, pages of {page_bytes} bytes")
    {"processor": processor, "yama": yama}[sys.argv[1]](checks)
    checks.check("the longest gap between two heartbeats", checks.compare_gaps)
    print(f"{checks.done} checks, {checks.failed} failed", flush=True)


if __name__ == "__main__":
    main()
