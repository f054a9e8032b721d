"""Looks at an agent again and again, and keeps what grew each time."""

import contextlib
import time
import typing

from . import facts, growth, heap, mailbox, tools, ways
from .evidence import Evidence
from .niced import niced
from .plan import Plan
from .process import Process
from .ways import Tick

HEAP_SECONDS = 60.0
LEAST_LENGTH_GROWTH = 50
KEPT = 30
NAMED = 10


def python(process: Process, plan: Plan, evidence: Evidence, tick: Tick) -> None:
    """Count what lives in the agent, ``plan.rounds`` times after a first look.

    Raises tools.Refused when there is no way to count, and what ``tick`` raises.
    """
    looks: typing.List[mailbox.Answer] = []
    begun, tried = ways.begin(process, plan, tick)
    evidence.notes += tried
    with contextlib.closing(begun) as counting:
        evidence.way = counting.way
        for number in range(plan.rounds + 1):
            if number:
                _wait(plan.interval_seconds, tick, counting.renew)
            _remember_memory(process, evidence)
            looks.append(counting.look(plan.kinds, tick))
            evidence.looks_seconds.append(looks[-1]["seconds"])
            evidence.unsure_looks += not looks[-1]["sure"]
            for line in looks[-1]["notes"]:
                if line not in evidence.notes:
                    evidence.note(line)
            _judge(looks, plan, evidence)
        wanted = tuple(found.id for found in evidence.containers[:NAMED])
        if wanted:
            answer = counting.names(wanted, tick)
            evidence.names = answer.get("names", {})
            evidence.looks_seconds.append(answer["seconds"])


def native(process: Process, plan: Plan, evidence: Evidence, tick: Tick) -> None:
    """Walk malloc's heaps from outside and measure the mappings, in each round.

    The mappings alone where the memory may not be read: that needs no right to trace.
    """
    heaps: typing.List[growth.Counts] = []
    maps: typing.List[growth.Counts] = []
    for number in range(plan.rounds + 1):
        if number:
            _wait(plan.interval_seconds, tick)
        _remember_memory(process, evidence)
        maps.append(facts.mapping_sizes(process))
        try:
            found = niced(lambda: heap.walk(process, HEAP_SECONDS))
        except tools.Refused as refusal:
            notes = [f"chunks: {refusal}"]
        else:
            heaps.append(found.counts())
            evidence.heap, notes = found.facts(), found.notes
        process.check()
        for line in notes:
            if line not in evidence.notes:
                evidence.note(line)
        for kind, looks in (("chunks", heaps), ("mappings", maps)):
            evidence.grown[kind] = growth.grown(looks, plan.least_growth_bytes)[:KEPT]


def memory_alone(process: Process, plan: Plan, evidence: Evidence, tick: Tick) -> None:
    """Note how much memory the agent holds, in each round."""
    for number in range(plan.rounds + 1):
        if number:
            _wait(plan.interval_seconds, tick)
        _remember_memory(process, evidence)


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


def _judge(looks: typing.List[mailbox.Answer], plan: Plan, evidence: Evidence) -> None:
    """Keep what grew up to now, so that a run that is cut off still has its findings."""
    for kind in plan.kinds:
        counts = [look[kind] for look in looks if kind in look]
        evidence.grown[kind] = growth.grown(counts, plan.least_growth_bytes)[:KEPT]
    containers = [look["containers"] for look in looks if "containers" in look]
    evidence.containers = growth.grown_containers(containers, LEAST_LENGTH_GROWTH)[:KEPT]
