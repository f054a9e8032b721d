"""The whole fleet at a glance: what Prometheus last saw, what is remembered, and what follows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from memleash_responder.core.facts import AgentFacts, Host, Unknown
from memleash_responder.core.guards import deciding, refusals
from memleash_responder.core.host_states import HostState
from memleash_responder.core.mutes import Claim, mute_in_force
from memleash_responder.core.outcomes import Refusal
from memleash_responder.core.policy import Mode
from memleash_responder.core.restarts import Restart
from memleash_responder.core.situation import tasks as read_tasks
from memleash_responder.core.time_bought import SHOWN_SECONDS, seconds_by_agent
from memleash_responder.settings import restart_policy
from memleash_responder.usecases import restart_situation as situation
from memleash_responder.usecases.host_states import KnownHosts, all_claims
from memleash_responder.usecases.readings import Firing, Key, Reading
from memleash_responder.usecases.services import Services


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


def in_order(
    hosts: Mapping[str, Host], agents: Iterable[str], loads: Mapping[Key, float]
) -> Iterator[Key]:
    """Yield every agent on every host, in the order of ``loads``, and then the unknown by name."""
    wanted = {(host, agent) for host in hosts for agent in agents}
    yield from (key for key in loads if key in wanted)
    yield from sorted(wanted - loads.keys())
