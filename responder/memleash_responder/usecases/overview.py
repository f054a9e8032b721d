"""What people are told of the whole: its state, mutes and quarantine, and what was done."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import metadata
from statistics import median
from typing import Literal

from memleash_responder.core.host_states import HostState, Standing
from memleash_responder.core.moments import Moment
from memleash_responder.core.mutes import mute_in_force
from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.pauses import Pause, holding
from memleash_responder.core.restarts import AWAITING_APPROVAL
from memleash_responder.usecases.host_states import KnownHosts, all_claims, known_hosts
from memleash_responder.usecases.services import RESUMED, Services
from memleash_responder.usecases.storm_breaker import standing_storm


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """Whether restarts are allowed now, and what needs a person."""

    version: str
    paused: bool
    pauses: Sequence[Pause]
    """Those that hold, the oldest first."""
    changed_by: str | None
    """Who paused last or, while nothing is paused, resumed last."""
    changed_at: Moment | None
    storm: str | None
    open_restarts: int
    awaiting_approval: int
    muted_hosts: int
    quarantined: int
    disconnected: Sequence[str]
    maintenance: Sequence[str]


def status(services: Services, hosts: KnownHosts) -> Status:
    """Return the state of the whole; ``hosts`` is what is known of all of them."""
    tables = services.tables
    flags = tables.flags.all()
    pauses = holding(tables.pauses.all(), services.clock.now())
    by, at = _last_change(pauses, flags)
    open_restarts = tables.restarts.all_open()
    standings = hosts.out_of_service()
    return Status(
        version=metadata.version("memleash"),
        paused=bool(pauses),
        pauses=pauses,
        changed_by=by,
        changed_at=at,
        storm=standing_storm(flags),
        open_restarts=len(open_restarts),
        awaiting_approval=sum(one.step == AWAITING_APPROVAL for one in open_restarts),
        muted_hosts=len(held_mutes(services, hosts)),
        quarantined=len(tables.quarantine.all()),
        disconnected=_in_state(standings, HostState.DISCONNECTED),
        maintenance=_in_state(standings, HostState.MAINTENANCE),
    )


def _in_state(standings: Mapping[str, Standing], state: HostState) -> list[str]:
    return [name for name, one in standings.items() if one.state is state]


def _last_change(
    pauses: Sequence[Pause], flags: Mapping[str, tuple[str, float, str]]
) -> tuple[str | None, float | None]:
    if pauses:
        return pauses[-1].by, pauses[-1].since
    _, at, by = flags.get(RESUMED, (None, None, None))
    return by, at


@dataclasses.dataclass(frozen=True, slots=True)
class HeldMute:
    """A mute in force."""

    host: str
    muted: Literal[True]
    until: Moment
    reason: str


def held_mutes(services: Services, known: KnownHosts) -> list[HeldMute]:
    """Return the mutes in force by host."""
    in_force = {
        host: mute_in_force(claims, known.read_at)
        for host, claims in all_claims(services, known).items()
    }
    return [
        HeldMute(host, True, mute.until, mute.reason)
        for host, mute in sorted(in_force.items())
        if mute is not None
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class PingTarget:
    """A target group of Prometheus's HTTP SD."""

    targets: Sequence[str]
    labels: Mapping[str, str]


def ping_targets(services: Services) -> list[PingTarget]:
    """Return the hosts to ping: those that are not muted, as hosts in maintenance are."""
    known = known_hosts(services)
    muted = {mute.host for mute in held_mutes(services, known)}
    return [
        PingTarget([host.ssh_address], host.labels)
        for name, host in known.inventory.items()
        if name not in muted
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class QuarantinedAgent:
    """An agent that a restart did not help."""

    host: str
    agent: str
    since: Moment
    reason: str


def quarantined(services: Services) -> list[QuarantinedAgent]:
    """Return what is quarantined."""
    found = sorted(services.tables.quarantine.all().items())
    return [
        QuarantinedAgent(host, agent, since, reason) for (host, agent), (since, reason) in found
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class Counted:
    """How many requests of an agent ended with a word; None: they go on."""

    agent: str
    outcome: Outcome | None
    requests: int
    hosts: int


@dataclasses.dataclass(frozen=True, slots=True)
class Observed:
    """How many requests of an agent in observe mode would have ended with a word."""

    agent: str
    would_be: Outcome
    requests: int
    hosts: int


@dataclasses.dataclass(frozen=True, slots=True)
class Bought:
    """How long restarts kept an agent below its limit, over all hosts, where their end is known."""

    agent: str
    restarts: int
    shortest_seconds: float
    median_seconds: float
    longest_seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """What was done, what would have been done, and whether it helped."""

    since: Moment
    total: int
    restarts: Sequence[Counted]
    observed: Sequence[Observed]
    bought: Sequence[Bought]


def summary(services: Services, since: float) -> Summary:
    """Count the requests since a unix time.

    In observe mode a request would have become what else refused it, or ``restarted`` where
    nothing did: as far as it could be told without holding the host and asking for its tasks.
    """
    done: dict[tuple[str, Outcome | None], list[str]] = defaultdict(list)
    observed: dict[tuple[str, Outcome], list[str]] = defaultdict(list)
    total = 0
    for host, agent, outcome, facts in services.tables.restart_history.outcomes(since=since):
        total += 1
        done[agent, Outcome(outcome) if outcome else None].append(host)
        if outcome == Outcome.OBSERVE_MODE:
            others = facts.get("also_refused") or [{"outcome": Outcome.RESTARTED}]
            observed[agent, Outcome(others[0]["outcome"])].append(host)
    return Summary(
        since,
        total,
        [
            Counted(agent, outcome, len(hosts), len(set(hosts)))
            for (agent, outcome), hosts in sorted(done.items(), key=str)
        ],
        [
            Observed(agent, outcome, len(hosts), len(set(hosts)))
            for (agent, outcome), hosts in sorted(observed.items())
        ],
        _bought(services, since),
    )


def _bought(services: Services, since: float) -> list[Bought]:
    found: dict[str, list[float]] = defaultdict(list)
    for one in services.tables.restart_history.times_bought(since=since):
        found[one.agent].append(one.seconds)
    return [
        Bought(agent, len(times), min(times), median(times), max(times))
        for agent, times in sorted(found.items())
    ]
