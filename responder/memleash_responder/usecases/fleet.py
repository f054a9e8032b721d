"""The whole fleet at a glance: what Prometheus last saw, what is remembered, and what follows.

A page about 1,000 hosts must not scrape 1,000 exporters: here a few queries of Prometheus serve
every page for some seconds. Nothing is restarted by these facts; each is shown with its age.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor

from memleash_responder.core.facts import AgentFacts, Host, Unknown, shown
from memleash_responder.core.guards import deciding, refusals
from memleash_responder.core.host_states import HostState
from memleash_responder.core.moments import unix_seconds
from memleash_responder.core.mutes import Claim, mute_in_force
from memleash_responder.core.outcomes import Refusal
from memleash_responder.core.policy import Mode
from memleash_responder.core.restarts import Restart
from memleash_responder.core.situation import tasks as read_tasks
from memleash_responder.core.time_bought import SHOWN_SECONDS, seconds_by_agent
from memleash_responder.core.untrusted import size_bytes, truth
from memleash_responder.errors import FactsUnavailable
from memleash_responder.settings import restart_policy
from memleash_responder.usecases import restart_situation as situation
from memleash_responder.usecases.agent_facts import read_agents, read_firing, read_hard_limit
from memleash_responder.usecases.host_states import KnownHosts, all_claims
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

FRESH_SECONDS = 5.0
"""Facts younger than this are shown without asking again."""
PATIENCE_SECONDS = 2.0
"""How long a page waits for fresher facts before it shows the old ones."""

Key = tuple[str, str]
Firing = Mapping[str, tuple[str, ...] | Unknown]
"""By agent: the alerts that hold its restarts back."""
_SERIES = {
    "up": "memleash_agent_up",
    "start_time": "memleash_agent_start_time_seconds",
    "resident_bytes": "memleash_agent_resident_memory_bytes",
    # Without what the rule goes on to tell of an agent whose exporter is silent.
    "limited_bytes": "memleash:agent_limited_memory_bytes and on (host, agent) memleash_agent_up",
    "busy": "memleash_agent_busy",
    "ready": "memleash_agent_ready",
    "alarm_threshold_bytes": "memleash:agent_memory_alarm_threshold_bytes",
    "hard_limit_bytes": "memleash:agent_memory_hard_limit_bytes",
    "seen_at": "timestamp(memleash_agent_resident_memory_bytes)",
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

    @property
    def facts(self) -> AgentFacts:
        """These facts as the guards know them."""
        return AgentFacts(
            **{name: getattr(self, name) for name in _DECIDING if getattr(self, name) is not None}
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """What one round of queries told."""

    read_at: float
    readings: Mapping[Key, Reading]
    firing: Firing
    problem: str | None = None
    """Why there is nothing, or nothing new."""

    def of_host(self, host: Host, agents: Iterable[str]) -> dict[str, Reading | Unknown]:
        """Return the readings of the ``agents`` on ``host``."""
        missing = Unknown(self.problem or "Prometheus has no sample of it")
        return {agent: self.readings.get((host.name, agent), missing) for agent in agents}


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


class FleetReader:
    """Keeps the last snapshot, and has it renewed when somebody looks and it is not fresh."""

    def __init__(self, services: Services, worker: Executor) -> None:
        self._services = services
        self._worker = worker
        self._lock = threading.Lock()
        self._renewed: threading.Event | None = None
        self._snapshot = Snapshot(0.0, {}, {}, "Prometheus was not asked yet")

    def snapshot(self) -> Snapshot:
        """Return the last snapshot, after waiting a little for a fresh one where it is not."""
        now = self._services.clock.now()
        with self._lock:
            if 0 <= now - self._snapshot.read_at < FRESH_SECONDS:
                return self._snapshot
            if self._renewed is None:
                self._renewed = threading.Event()
                self._worker.submit(self._renew)
            renewed = self._renewed
        renewed.wait(PATIENCE_SECONDS)
        return self._snapshot

    def _renew(self) -> None:
        now = self._services.clock.now()
        try:
            fresh = Snapshot(now, self._read(), read_firing_of_all(self._services))
        except FactsUnavailable as error:
            fresh = dataclasses.replace(self._snapshot, read_at=now, problem=str(error))
        except Exception as error:  # a thread's boundary: whoever waits must be let go
            log.exception("fleet not read")
            fresh = dataclasses.replace(self._snapshot, read_at=now, problem=type(error).__name__)
        with self._lock:
            self._snapshot = fresh
            if self._renewed is not None:
                self._renewed.set()
            self._renewed = None

    def _read(self) -> Mapping[Key, Reading]:
        prometheus, known = self._services.outside.prometheus, self._services.outside.inventory
        found: dict[Key, dict[str, float]] = {}
        for field, expression in _SERIES.items():
            for (host, agent), value in prometheus.by_agent(expression).items():
                if known.get(host) is not None and agent in self._services.settings.agents:
                    found.setdefault((host, agent), {})[field] = value
        return {key: _reading(values) for key, values in found.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class Remembered:
    """What the database says that bears on every row, read once for a page."""

    now: float
    guarded: situation.StoredFacts
    """What the guards rest on."""
    claims: Mapping[str, tuple[Claim, ...]]
    open_restarts: Mapping[Key, str]
    times_bought: Mapping[Key, tuple[float, ...]]
    """How long, in seconds, each restart of 30 days kept an agent below its limit, oldest first."""

    @property
    def hosts(self) -> KnownHosts:
        """The hosts' states, and what they follow from."""
        return self.guarded.hosts

    @property
    def quarantined(self) -> Mapping[Key, tuple[float, str]]:
        """The quarantined agents: since when, and why."""
        return self.guarded.quarantined


def remembered(services: Services) -> Remembered:
    """Read it. Raises DatabaseUnavailable."""
    tables, guarded = services.tables, situation.stored_facts(services)
    now = services.clock.now()
    times_bought = tables.restart_history.times_bought(since=now - SHOWN_SECONDS)
    return Remembered(
        now=now,
        guarded=guarded,
        claims=all_claims(services, guarded.hosts),
        open_restarts={(one.host, one.agent): one.id for one in tables.restarts.all_open()},
        times_bought=seconds_by_agent(times_bought),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One agent on one host."""

    host: Host
    agent: str
    mode: Mode
    state: HostState
    mute: Claim | None
    reading: Reading | Unknown
    quarantined: str | None
    """Why, where it is."""
    restart_id: str | None
    """The request that is open for it."""
    times_bought: Sequence[float]
    """How long, in seconds, each restart kept it below its limit, oldest first."""
    refusal: Refusal | None
    """What a request made now would meet, as far as the shown facts tell; tasks aren't asked."""

    @property
    def load(self) -> float:
        """Limited memory as a share of the hard limit, below zero when it is not known."""
        if isinstance(self.reading, Unknown) or self.reading.limited_bytes is None:
            return -1.0
        limit = self.reading.hard_limit_bytes
        return self.reading.limited_bytes / limit if limit else 0.0


def rows_of_host(
    services: Services,
    host: Host,
    readings: Mapping[str, Reading | Unknown],
    known: Remembered,
    firing: Firing,
) -> list[Row]:
    """Return a row for each agent that ``readings`` are of."""
    missing = Unknown("Prometheus was not asked yet what fires")
    return [
        _row(services, host, agent, one, known, firing.get(agent, missing))
        for agent, one in readings.items()
    ]


def _row(
    services: Services,
    host: Host,
    agent: str,
    reading: Reading | Unknown,
    known: Remembered,
    firing: tuple[str, ...] | Unknown,
) -> Row:
    key = (host.name, agent)
    limit: int | Unknown
    if isinstance(reading, Unknown):
        facts: AgentFacts | Unknown = reading
        limit = reading
    elif reading.hard_limit_bytes is None:
        facts = reading.facts
        limit = Unknown("Prometheus has no limit for it; are memleash's rules loaded?")
    else:
        facts, limit = reading.facts, reading.hard_limit_bytes
    quarantine = known.quarantined.get(key)
    asked = Restart("", host.name, agent, known.now)
    seen = known.guarded.situation(asked, situation.Answers(facts, limit, firing))
    policy = restart_policy(services.settings, agent)
    return Row(
        host=host,
        agent=agent,
        mode=policy.mode,
        state=known.hosts.state(host.name),
        mute=mute_in_force(known.claims.get(host.name, ()), known.now),
        reading=reading,
        quarantined=quarantine[1] if quarantine else None,
        restart_id=known.open_restarts.get(key),
        times_bought=known.times_bought.get(key, ()),
        refusal=deciding(
            [
                no
                for guard, no in refusals(None, seen, policy, known.now)
                if no and guard.reads is not read_tasks
            ]
        ),
    )


def rows(
    services: Services, snapshot: Snapshot, known: Remembered, wanted: Callable[[Row], bool]
) -> list[Row]:
    """Return the rows that are ``wanted``, the most loaded first, the unknown last."""
    agents = services.settings.agents
    found = [
        row
        for host in services.outside.inventory.hosts().values()
        for row in rows_of_host(
            services, host, snapshot.of_host(host, agents), known, snapshot.firing
        )
        if wanted(row)
    ]
    return sorted(found, key=lambda one: (-one.load, one.host.name, one.agent))


def _reading(values: Mapping[str, float]) -> Reading:
    return Reading(
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
