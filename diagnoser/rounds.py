"""Looks at an agent again and again, and keeps what grew each time."""

import os
import threading
import time
import typing

from . import debugger, facts, growth, heap, inject, postbox, tools
from .evidence import Evidence
from .plan import Plan
from .process import Process

ANSWER_SECONDS = 300.0
HEAP_SECONDS = 60.0
LEAST_LENGTH_GROWTH = 50
KEPT = 30
NAMED = 10

Tick = typing.Callable[[], None]
"""Called about every second: renews the busy marker, and ends the run by raising."""


def python(process: Process, plan: Plan, evidence: Evidence, tick: Tick) -> None:
    """Have the hook count in the agent, ``plan.rounds`` times after a first look.

    Raises tools.Refused when no way leads into the agent, and what ``tick`` raises.
    """
    box, evidence.way = inject.open_mailbox(process, postbox.Request(1, plan.kinds))
    looks: typing.List[postbox.Answer] = []
    try:
        for number in range(1, plan.rounds + 2):
            _remember_memory(process, evidence)
            looks.append(_answer(box, postbox.Request(number, plan.kinds), tick))
            evidence.looks_seconds.append(looks[-1]["seconds"])
            evidence.notes += looks[-1]["notes"]
            _judge(looks, plan, evidence)
            if number <= plan.rounds:
                _wait(plan.interval_seconds, tick, box.renew)
        wanted = tuple(found.id for found in evidence.containers[:NAMED])
        if wanted:
            answer = _answer(box, postbox.Request(plan.rounds + 2, (), wanted), tick)
            evidence.names = answer.get("names", {})
            evidence.looks_seconds.append(answer["seconds"])
    finally:
        box.stop()
        box.close()


def native(process: Process, plan: Plan, evidence: Evidence, tick: Tick) -> None:
    """Walk malloc's heaps from outside in each round, then ask gdb who allocates what grew."""
    looks: typing.List[growth.Counts] = []
    for number in range(1, plan.rounds + 2):
        _remember_memory(process, evidence)
        found = _niced(lambda: heap.walk(process, HEAP_SECONDS))
        process.check()
        looks.append(found.counts())
        evidence.heap = found.facts()
        for line in found.notes:
            if line not in evidence.notes:
                evidence.note(line)
        evidence.grown["chunks"] = growth.grown(looks, plan.least_growth_bytes)[:KEPT]
        if number <= plan.rounds:
            _wait(plan.interval_seconds, tick)
    largest = [int(entry.name) for entry in evidence.grown["chunks"][:3]]
    if largest and plan.sample_sites:
        try:
            sites = debugger.allocation_sites(process, largest)
        except tools.Refused as refusal:
            evidence.note(f"who allocates: {refusal}")
        else:
            evidence.allocation_sites = [dict(site._asdict()) for site in sites]


def _answer(box: postbox.Mailbox, request: postbox.Request, tick: Tick) -> postbox.Answer:
    """Ask and wait for the answer. Raises tools.Refused after ANSWER_SECONDS."""
    box.ask(request)
    until = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < until:
        answer = box.answer(request.round)
        if answer is not None:
            return answer
        _wait(0.25, tick, box.renew)
    raise tools.Refused(f"the hook gave no answer in {ANSWER_SECONDS:.0f} s")


def _wait(seconds: float, tick: Tick, renew: typing.Callable[[], None] = lambda: None) -> None:
    until = time.monotonic() + seconds
    while True:
        tick()
        renew()
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(1.0, left))


def _remember_memory(process: Process, evidence: Evidence) -> None:
    since = round(time.time() - evidence.taken_at, 1)
    evidence.memory.append(dict(facts.memory(process), seconds=since))


def _judge(looks: typing.List[postbox.Answer], plan: Plan, evidence: Evidence) -> None:
    """Keep what grew up to now, so that a run that is cut off still has its findings."""
    for kind in plan.kinds:
        counts = [look[kind] for look in looks if kind in look]
        evidence.grown[kind] = growth.grown(counts, plan.least_growth_bytes)[:KEPT]
    containers = [look["containers"] for look in looks if "containers" in look]
    evidence.containers = growth.grown_containers(containers, LEAST_LENGTH_GROWTH)[:KEPT]


_Result = typing.TypeVar("_Result")


def _niced(work: typing.Callable[[], _Result]) -> _Result:
    """Run ``work`` in a thread of the lowest priority; on Linux nice(2) is a thread's own."""
    results: typing.List[_Result] = []
    errors: typing.List[BaseException] = []

    def body() -> None:
        os.nice(19)
        try:
            results.append(work())
        except BaseException as error:  # handed over to the caller
            errors.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
