"""The busy sources of an agent, all asked in one way whatever their kind."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

from memleash_exporter.adapters import marker_files
from memleash_exporter.adapters.background import BackgroundProbe
from memleash_exporter.adapters.marker_files import MarkerFiles
from memleash_exporter.adapters.processes import Processes, seconds_since_boot
from memleash_exporter.collector.sample import Life
from memleash_exporter.decisions.busy import Busyness, SourceAnswer
from memleash_exporter.errors import CannotTell, ProcessGone

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """What a source is asked about: a life (None when there is none) at a moment (unix time)."""

    life: Life | None
    now: float


Ask = Callable[[Question], tuple[Busyness, float | None]]


def marker_source(files: MarkerFiles, processes: Processes) -> Ask:
    """Return a source that looks for ``files`` that count."""

    def ask(question: Question) -> tuple[Busyness, float | None]:
        since = marker_files.busy_since(files, processes, question.now)
        return (Busyness.IDLE, None) if since is None else (Busyness.BUSY, since)

    return ask


def children_source(pattern: str, processes: Processes) -> Ask:
    """Return a source that looks for descendants whose command line ``pattern`` is found in."""
    matches = re.compile(pattern).search

    def ask(question: Question) -> tuple[Busyness, float | None]:
        life = question.life
        if life is None:
            return Busyness.UNKNOWN, None
        boot = life.started_at - seconds_since_boot(life.start_ticks)
        starts = []
        for pid in processes.descendants(life.pid):
            try:
                process = processes.get(pid)
                if matches(process.command_line()):
                    starts.append(boot + seconds_since_boot(process.start_ticks()))
            except ProcessGone:
                continue
        return (Busyness.BUSY, min(starts)) if starts else (Busyness.IDLE, None)

    return ask


def background_source(probe: BackgroundProbe) -> Ask:
    """Return a source that repeats what ``probe`` heard last, about this life and lately."""

    def ask(question: Question) -> tuple[Busyness, float | None]:
        answer = probe.latest(not_before=begin_of(question.life))
        if answer is None:
            return Busyness.UNKNOWN, None
        return (Busyness.BUSY, answer.since) if answer.word else (Busyness.IDLE, None)

    return ask


def begin_of(life: Life | None) -> float:
    """Return when ``life`` began, in seconds since boot; without a life every word is welcome."""
    return 0.0 if life is None else seconds_since_boot(life.start_ticks)


def report(name: str, ask: Ask, question: Question) -> SourceAnswer:
    """Return what the source says; what cannot be told is unknown."""
    try:
        word, since = ask(question)
    except (CannotTell, ProcessGone) as error:
        log.debug("busy source cannot tell", extra={"source": name, "problem": error})
        return SourceAnswer(name, Busyness.UNKNOWN)
    except Exception:  # a source's boundary: one that breaks must not take the agent along
        log.exception("busy source broke", extra={"source": name})
        return SourceAnswer(name, Busyness.UNKNOWN)
    return SourceAnswer(name, word, since)
