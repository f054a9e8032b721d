"""One diagnosis from beginning to end, within its limits, under its busy marker."""

import contextlib
import functools
import json
import os
import platform
import resource
import signal
import time
import typing

from . import ask_agent, busy_marker, facts, process, redact, render, rounds, stacks, tools
from .evidence import Evidence
from .plan import Plan
from .process import Gone, Process
from .ways import Tick

_Stacks = typing.Callable[[Process], bytes]


MOST_MEMORY_BYTES = 1024**3
"""Of address space. A census of two million lists takes 57 MiB, one of 30,000 classes 73 MiB."""


class Stopped(BaseException):
    """The deadline has come, or a signal says to end. Passes through all but the cleaning up."""


def collect(plan: Plan, folder: str) -> Evidence:
    """Take the evidence that ``plan`` asks for and write the report into ``folder``.

    1. limits on itself; 2. the busy marker; 3. facts, stacks, growth; 4. the marker goes;
    5. the report is written, with what there is. Raises tools.Refused before anything was done
    to the agent: it is too large, another life, or the disk is too full.
    """
    _limit_myself(plan, folder)
    target = _admit(plan)
    evidence = Evidence(plan.agent, plan.profile, plan.rounds, plan.interval_seconds)
    evidence.host, evidence.taken_at = platform.node(), time.time()
    evidence.started_at = process.started_at(target)
    os.makedirs(os.path.join(folder, "raw"))
    try:
        with _until(plan.max_seconds), busy_marker.held(
            plan.marker_root, plan.agent, "memory diagnosis", plan.max_seconds + 30
        ) as touch:
            _take(target, plan, evidence, folder, touch)
        evidence.outcome = "complete"
    except Stopped as stop:
        evidence.note(f"cut off: {stop}")
    except Gone as gone:
        evidence.outcome = "gone"
        evidence.note(f"the process ended meanwhile: {gone}")
    except (OSError, ValueError, KeyError, MemoryError) as error:
        evidence.outcome = "failed" if target.is_alive() else "gone"
        evidence.note(f"the diagnosis ended early: {type(error).__name__}: {error}")
    evidence.finished_at = time.time()
    write(evidence, folder, plan.max_report_bytes)
    return evidence


def _admit(plan: Plan) -> Process:
    """Return the process, if it may be looked at. Raises tools.Refused."""
    try:
        target = process.find(process.discover(plan.discover, plan.target))
        resident = facts.memory(target).get("VmRSS", 0)
        started = process.started_at(target)
    except (Gone, OSError, ValueError) as error:
        raise tools.Refused(f"agent_not_found: {error}") from error
    if plan.start_time is not None and abs(started - plan.start_time) >= 1.0:
        raise tools.Refused(f"another_life: the process started at {started:.0f}")
    if resident > plan.max_rss_bytes:
        raise tools.Refused(f"too_large: RSS is {resident} bytes")
    return target


def _limit_myself(plan: Plan, folder: str) -> None:
    """Bound CPU time, file size and memory of this process; look at the disk.

    What it starts has the same bounds but that of memory: a debugger maps the agent's files.
    """
    free = os.statvfs(folder)
    if free.f_bavail * free.f_frsize < plan.free_disk_bytes:
        raise tools.Refused(f"disk_full: less than {plan.free_disk_bytes} bytes free")
    for limit, value in (
        (resource.RLIMIT_CPU, plan.max_cpu_seconds),
        (resource.RLIMIT_FSIZE, plan.max_report_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, MOST_MEMORY_BYTES),
    ):
        _, hard = resource.getrlimit(limit)
        lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (lower, hard))


@contextlib.contextmanager
def _until(seconds: float) -> typing.Iterator[None]:
    """Raise Stopped inside when ``seconds`` are over or a signal says to end; not while leaving."""

    def stop(signum: int, _: object) -> None:
        for other in stopping:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(reasons[signum])

    reasons: typing.Dict[int, str] = {
        signal.SIGALRM: f"it may take {seconds:.0f} s",
        signal.SIGTERM: "told to end",
        signal.SIGINT: "told to end",
        signal.SIGXCPU: "it took all the CPU time it may",
    }
    stopping = tuple(reasons)
    for signum in stopping:
        signal.signal(signum, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        for signum in stopping:
            signal.signal(signum, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _take(
    target: Process, plan: Plan, evidence: Evidence, folder: str, touch: typing.Callable[[], None]
) -> None:
    def tick() -> None:
        target.check()
        touch()

    def ask(when: str) -> None:
        for name, question in questions:
            tick()
            _keep(folder, f"{name}-{when}", functools.partial(question, target, tick), evidence)

    evidence.facts, notes = facts.take(target)
    evidence.notes += notes
    for name, take in _stacks(plan):
        tick()
        _keep(folder, name, functools.partial(take, target), evidence)
    questions = ask_agent.questions(plan)
    ask("first")
    if plan.rounds > 0 and (plan.profile != "none" or questions):
        try:
            _ROUNDS[plan.profile](target, plan, evidence, tick)
        except (tools.Refused, PermissionError) as refusal:
            evidence.note(f"growth: {refusal}")
        ask("last")
    target.check()


_ROUNDS: typing.Dict[str, typing.Callable[[Process, Plan, Evidence, Tick], None]] = {
    "python": rounds.python,
    "native": rounds.native,
    "none": rounds.memory_alone,
}


def _keep(folder: str, name: str, take: typing.Callable[[], bytes], evidence: Evidence) -> None:
    """Write what ``take`` gives into a raw file, text without its secrets; or a line why not."""
    try:
        content = take()
    except (tools.Refused, PermissionError) as refusal:
        evidence.note(f"{name}: {refusal}")
        return
    try:
        content = redact.text(content.decode()).encode()
        name += ".txt"
    except UnicodeDecodeError:
        name += ".bin"
    with open(os.path.join(folder, "raw", name), "wb") as file:
        file.write(content)
    evidence.files.append("raw/" + name)


def _stacks(plan: Plan) -> typing.List[typing.Tuple[str, _Stacks]]:
    """Return what stacks to take: the file's name, and how."""
    python = functools.partial(stacks.of_python, with_locals=plan.locals)
    taken: typing.List[typing.Tuple[str, _Stacks]] = []
    if plan.profile == "python":
        taken.append(("stacks-python", python))
    if plan.profile == "native" or (plan.profile == "python" and plan.native_stacks):
        taken.append(("stacks-native", stacks.of_native))
    return taken


def write(evidence: Evidence, folder: str, most_bytes: int) -> None:
    """Write report.json and report.md; raw files give way where all were over ``most_bytes``."""
    left = most_bytes - 2 * len(json.dumps(evidence.plain(), indent=1))
    for name in list(evidence.files):
        path = os.path.join(folder, name)
        left -= os.path.getsize(path)
        if left < 0:
            os.unlink(path)
            evidence.files.remove(name)
            evidence.note(f"{name} was left out: a report may hold {most_bytes} bytes")
    _write_text(os.path.join(folder, "report.json"), json.dumps(evidence.plain(), indent=1))
    _write_text(os.path.join(folder, "report.md"), render.markdown(evidence))


def _write_text(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
