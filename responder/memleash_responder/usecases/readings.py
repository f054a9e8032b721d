"""What Prometheus last saw of the fleet's agents, read as far as a page shows it.

A page about 10,000 hosts must not scrape 10,000 exporters, nor ask for all there is about each of
them. Their order takes one figure of every agent; the rest is asked for of the hosts shown alone.
Nothing is restarted by these facts; each is shown with its age.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from concurrent.futures import Executor, Future, wait
from typing import Any, Generic, TypeVar

from memleash_responder.adapters.prometheus import one_of
from memleash_responder.core.facts import AgentFacts, Host, Unknown, shown
from memleash_responder.core.moments import unix_seconds
from memleash_responder.core.untrusted import size_bytes, truth
from memleash_responder.errors import FactsUnavailable
from memleash_responder.usecases.agent_facts import read_agents, read_firing, read_hard_limit
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

T = TypeVar("T")

FRESH_SECONDS = 5.0
"""Facts younger than this are shown without asking again."""
PATIENCE_SECONDS = 2.0
"""How long a page waits for fresher facts before it shows the old ones."""
KEPT_ANSWERS = 16
"""Answers that are kept, of the pages that were looked at last."""
MOST_QUESTIONS = 8
"""Questions that may wait for a Prometheus that is slow; whoever asks more sees what was kept."""
HOSTS_A_QUERY = 250
"""So that query and answer stay far below what servers and proxies take."""

Key = tuple[str, str]
"""A host and an agent."""
Firing = Mapping[str, tuple[str, ...] | Unknown]
"""By agent: the alerts that hold its restarts back."""

_LIMITED = "memleash:agent_limited_memory_bytes{} and on (host, agent) memleash_agent_up{}"
"""Without what the rule goes on to tell of an agent whose exporter is silent."""
_LIMIT = "max by (host, agent) (memleash:agent_memory_hard_limit_bytes{})"
_LOAD = f"max by (host, agent) ({_LIMITED}) / ({_LIMIT} > 0 or {_LIMIT} + Inf)"
"""Limited memory as a share of the hard limit; 0 without a limit."""
_BUSY = "memleash_agent_busy{} == 1"
_SERIES = {
    "up": "memleash_agent_up{}",
    "start_time": "memleash_agent_start_time_seconds{}",
    "resident_bytes": "memleash_agent_resident_memory_bytes{}",
    "limited_bytes": _LIMITED,
    "busy": "memleash_agent_busy{}",
    "ready": "memleash_agent_ready{}",
    "alarm_threshold_bytes": "memleash:agent_memory_alarm_threshold_bytes{}",
    "hard_limit_bytes": "memleash:agent_memory_hard_limit_bytes{}",
    "seen_at": "timestamp(memleash_agent_resident_memory_bytes{})",
}


_DECIDING = ("up", "start_time", "resident_bytes", "limited_bytes", "busy", "ready")
"""What the guards rest on, of what is shown."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """One agent as Prometheus last saw it. None: it has no sample. Limits are those in force."""

    up: bool | None = None
    start_time: float | None = None
    resident_bytes: int | None = None
    limited_bytes: int | None = None
    """What the limits are held against."""
    busy: bool | None = None
    ready: bool | None = None
    alarm_threshold_bytes: int | None = None
    hard_limit_bytes: int | None = None
    seen_at: float | None = None
    """Unix time of the sample of its memory."""

    @classmethod
    def of(cls, values: Mapping[str, float]) -> Reading:
        """Return the reading that Prometheus's ``values``, by field, give."""
        return cls(
            up=truth(values.get("up")),
            start_time=unix_seconds(values.get("start_time")),
            resident_bytes=size_bytes(values.get("resident_bytes")),
            limited_bytes=size_bytes(values.get("limited_bytes")),
            busy=truth(values.get("busy")),
            ready=truth(values.get("ready")),
            alarm_threshold_bytes=size_bytes(values.get("alarm_threshold_bytes")),
            hard_limit_bytes=size_bytes(values.get("hard_limit_bytes")),
            seen_at=unix_seconds(values.get("seen_at")),
        )

    @property
    def facts(self) -> AgentFacts:
        """These facts as the guards know them."""
        return AgentFacts(
            **{name: getattr(self, name) for name in _DECIDING if getattr(self, name) is not None}
        )


def read_firing_of_all(services: Services) -> Firing:
    """Return what fires and holds back restarts, of every agent there is."""
    return {agent: read_firing(services, agent) for agent in services.settings.agents}


def read_host(services: Services, host: Host) -> dict[str, Reading | Unknown]:
    """Return one host's agents as its exporter, asked once, describes them now."""
    now = services.clock.now()
    return {
        agent: as_reading(facts, read_hard_limit(services, host, agent, facts), now)
        for agent, facts in read_agents(services, host).items()
    }


def as_reading(
    facts: AgentFacts | Unknown, hard_limit_bytes: int | Unknown, now: float
) -> Reading | Unknown:
    """Return what an exporter said ``now`` as it is shown."""
    if isinstance(facts, Unknown):
        return facts
    return Reading(
        up=shown(facts.up),
        start_time=shown(facts.start_time),
        resident_bytes=shown(facts.resident_bytes),
        limited_bytes=shown(facts.limited_bytes),
        busy=shown(facts.busy),
        ready=shown(facts.ready),
        alarm_threshold_bytes=shown(facts.alarm_threshold_bytes),
        hard_limit_bytes=shown(hard_limit_bytes),
        seen_at=now,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of the agents of some hosts."""

    readings: Mapping[Key, Reading]
    firing: Firing
    problem: str | None = None
    """Why there is nothing, or nothing new."""

    def of_host(self, host: Host, agents: Iterable[str]) -> dict[str, Reading | Unknown]:
        """Return the readings of the ``agents`` on ``host``."""
        missing = Unknown(self.problem or "Prometheus has no sample of it")
        return {agent: self.readings.get((host.name, agent), missing) for agent in agents}


@dataclasses.dataclass(frozen=True, slots=True)
class LastAnswer(Generic[T]):
    """What Prometheus said when it was last asked a question."""

    value: T
    problem: str | None = None
    """Why there is nothing, or nothing new."""
    read_at: float = 0.0
    """When it was asked, unix time."""


class FleetReader:
    """Keeps the last answers, and has one renewed when somebody looks and it is not fresh."""

    def __init__(self, services: Services, worker: Executor) -> None:
        self._services = services
        self._worker = worker
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, LastAnswer[Any]] = OrderedDict()
        self._renewals: dict[Hashable, Future[None]] = {}

    def loads(self) -> LastAnswer[Mapping[Key, float]]:
        """Return limited memory as a share of the hard limit of every agent, the largest first.

        0 is an agent without a limit. One whose memory is not known is not in it.
        """
        return self._answer("loads", self._read_loads, {})

    def busy(self) -> LastAnswer[frozenset[Key]]:
        """Return the agents that are busy."""
        return self._answer("busy", lambda: frozenset(self._of_all(_BUSY)), frozenset())

    def snapshot(self, hosts: Collection[str]) -> Snapshot:
        """Return what is known of ``hosts``, and nothing of others."""
        nothing: tuple[Mapping[Key, Reading], Firing] = ({}, {})
        if not hosts:
            return Snapshot(*nothing)
        names = frozenset(hosts)
        answer = self._answer(names, lambda: self._read_hosts(sorted(names)), nothing)
        return Snapshot(*answer.value, answer.problem)

    def _answer(self, question: Hashable, read: Callable[[], T], nothing: T) -> LastAnswer[T]:
        """Return the last answer, after waiting a little for a fresh one where it is not."""
        now = self._services.clock.now()
        with self._lock:
            last = self._answers.get(question, LastAnswer(nothing, "Prometheus was not asked yet"))
            if 0 <= now - last.read_at < FRESH_SECONDS:
                return last
            renewal = self._renewals.get(question)
            if renewal is None and len(self._renewals) >= MOST_QUESTIONS:
                return dataclasses.replace(last, problem="Prometheus takes long to answer")
            if renewal is None:
                renewal = self._worker.submit(self._renew, question, read, last)
                self._renewals[question] = renewal
        wait([renewal], PATIENCE_SECONDS)
        with self._lock:
            return self._answers.get(question, last)

    def _renew(self, question: Hashable, read: Callable[[], T], last: LastAnswer[T]) -> None:
        now = self._services.clock.now()
        try:
            fresh = LastAnswer(read(), None, now)
        except FactsUnavailable as error:
            fresh = LastAnswer(last.value, str(error), now)
        except Exception as error:  # a thread's boundary: the page says what is wrong
            log.exception("fleet not read")
            fresh = LastAnswer(last.value, type(error).__name__, now)
        with self._lock:
            self._answers[question] = fresh
            self._answers.move_to_end(question)
            if len(self._answers) > KEPT_ANSWERS:
                self._answers.popitem(last=False)
            self._renewals.pop(question)

    def _read_loads(self) -> Mapping[Key, float]:
        loads = self._of_all(_LOAD)
        known = [(key, load) for key, load in loads.items() if math.isfinite(load) and load >= 0]
        return dict(sorted(known, key=lambda one: (-one[1], one[0])))

    def _of_all(self, expression: str) -> Mapping[Key, float]:
        agents = one_of("agent", self._services.settings.agents)
        return self._services.outside.prometheus.by_agent(_about(expression, agents))

    def _read_hosts(self, hosts: list[str]) -> tuple[Mapping[Key, Reading], Firing]:
        prometheus, readings = self._services.outside.prometheus, {}
        for first in range(0, len(hosts), HOSTS_A_QUERY):
            asked = one_of("host", hosts[first : first + HOSTS_A_QUERY])
            series = {field: _about(one, asked) for field, one in _SERIES.items()}
            for key, values in prometheus.fields_by_agent(series).items():
                readings[key] = Reading.of(values)
        return readings, read_firing_of_all(self._services)


def _about(expression: str, matcher: str) -> str:
    """Return ``expression`` with its empty selectors filled in."""
    return expression.replace("{}", f"{{{matcher}}}")
