"""Lost hosts are reconnected, and undrains that are still owed are given.

A disconnected host does not stay so for ever: once its agent is back, the controllers are asked
again, every minute with backoff. What counts as back is what a restart demands: a command that was
sent may still run, and only a new life shows that it has struck. A person's word stands in for
that. Nothing here restarts anything; where a controller's reconnect does so each time, a person is
asked after two (see core.reconnects).
"""

from __future__ import annotations

import logging
from concurrent.futures import Executor

from memleash_responder.adapters.database.hosts import HostRecord
from memleash_responder.adapters.own_metrics import Part
from memleash_responder.core.facts import AgentFacts, Unknown, shown
from memleash_responder.core.host_states import HostState
from memleash_responder.core.proof import missing_proof
from memleash_responder.core.reconnects import (
    LONGEST_SECONDS,
    MOST_CHANGES,
    WANTS_A_PERSON,
    changes_in_a_row,
    next_attempt_seconds,
)
from memleash_responder.core.untrusted import line
from memleash_responder.errors import ReconnectFailed
from memleash_responder.usecases.agent_facts import read_agent
from memleash_responder.usecases.host_return import reconnect_host, undrain
from memleash_responder.usecases.host_states import known_hosts
from memleash_responder.usecases.restart_looks import probe
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.unforeseen import patiently, try_one

log = logging.getLogger(__name__)


class Recovery:
    """Does what is due for each host, in workers: a controller may take half an hour to answer."""

    def __init__(self, services: Services, workers: Executor) -> None:
        self._services = services
        self._workers = workers
        self._under_way: set[str] = set()

    def look(self) -> None:
        """Begin what is due: reconnects of lost hosts, and undrains that are owed."""
        services, now = self._services, self._services.clock.now()
        needy = services.tables.hosts.in_need()
        known = known_hosts(services) if needy else None
        for record in needy:
            if known and known.state(record.host) is HostState.MAINTENANCE:
                continue  # whatever it is owed waits until a person puts it back into service
            try_one(services, Part.RECOVER_HOSTS, record.host, self._begin, record, now)

    def _begin(self, record: HostRecord, now: float) -> None:
        can_do_something = record.drained or not _has_left(self._services, record)
        if can_do_something and record.host not in self._under_way and is_due(record, now):
            self._under_way.add(record.host)
            self._workers.submit(self._mend, record)

    def _mend(self, record: HostRecord) -> None:
        services, hosts = self._services, self._services.tables.hosts
        try:
            if record.state is HostState.DISCONNECTED and not _has_left(services, record):
                if hosts.begin_attempt(record.host, services.executor_id):
                    reconnect(services, record.host)
            elif not undrain(services, record.host, record.agent or "", record.restart_id):
                _plan_next(services, record, "a controller was not undrained")
        except Exception as error:  # a worker's boundary: the host is looked at again
            self._services.telemetry.failures.labels(Part.RECOVER_HOSTS).inc()
            log.exception("recovery failed", extra={"host": record.host, "reason": str(error)})
        finally:
            self._under_way.discard(record.host)


def is_due(record: HostRecord, now: float) -> bool:
    """Whether a host needs something, and its time has come.

    An attempt planned for later than any wait is long was planned before the clock was set back.
    """
    is_lost = record.state is HostState.DISCONNECTED and not record.wants_a_person
    needs = is_lost or (record.state is HostState.CONNECTED and record.drained)
    left_seconds = (record.next_attempt_at or 0.0) - now
    return needs and not 0 < left_seconds <= LONGEST_SECONDS


def reconnect(services: Services, host: str) -> str | None:
    """Ask the controllers to take a lost host back; return why not, or None when it is back.

    The caller has begun the attempt (``Hosts.begin_attempt``); it is over when this returns.
    """
    record = services.tables.hosts.get(host)
    problem: str | None = "something went wrong; the responder's log says what"
    try:
        problem = _reconnect(services, record)
    finally:
        patiently(services, _conclude, services, record, problem)
    return problem


def _conclude(services: Services, record: HostRecord, problem: str | None) -> None:
    if problem is None:
        log.info("host is connected again", extra={"host": record.host, "by": record.vouched_by})
    else:
        _plan_next(services, record, problem)
        log.warning(
            "host stays disconnected",
            extra={"host": record.host, "reason": problem, "attempts": record.attempts + 1},
        )
    services.tables.hosts.end_attempt(record.host)


def _plan_next(services: Services, record: HostRecord, problem: str) -> None:
    """Remember why it was in vain, and when to try again; never, where a person is wanted."""
    hosts = services.tables.hosts
    due = services.clock.now() + next_attempt_seconds(record.attempts + 1)
    stops = hosts.get(record.host).wants_a_person
    hosts.plan_attempt(record, None if stops else due, line(problem))


def _has_left(services: Services, record: HostRecord) -> bool:
    """Whether nobody can be asked about a host any more; the undrain is owed all the same."""
    known = services.outside.inventory.get(record.host) is not None
    return not (known and record.agent in services.settings.agents)


def _reconnect(services: Services, record: HostRecord) -> str | None:
    """Have the controllers take a host back that is proven well; return why not, or None.

    1. the agent must be back; 2. reconnects must not have changed its life twice in a row;
    3. every controller must agree; 4. the agent must be back after it, for they may have taken half
    an hour, or restarted it; 5. undrain, connected; who vouched is recorded.
    """
    host = services.outside.inventory.get(record.host)
    if host is None or record.agent is None or record.agent not in services.settings.agents:
        return "the host or its agent is not configured any more"
    facts = read_agent(services, host, record.agent)
    problem = _missing(services, record, facts) or _loops(services, record, facts)
    if problem is not None:
        return problem
    try:
        life = None if isinstance(facts, Unknown) else shown(facts.start_time)
        reconnect_host(services, host, record.agent, record.restart_id or "", life)
    except ReconnectFailed as error:
        return str(error)
    # The reconnect may have restarted the agent once more.
    _, problem = probe(
        services, host, record.agent, lambda facts: _missing(services, record, facts)
    )
    if problem is not None:
        return problem
    undrain(services, record.host, record.agent, record.restart_id)
    now, restart_id = services.clock.now(), record.restart_id or ""
    services.tables.hosts.release(record.host, restart_id, now)
    if record.vouched_by is not None:
        services.tables.restarts.note(restart_id, {"taken_back_by": record.vouched_by})
    return None


def _loops(services: Services, record: HostRecord, facts: AgentFacts | Unknown) -> str | None:
    """Note the life that is reconnected; return why not, where reconnects change it each time."""
    life = None if isinstance(facts, Unknown) else shown(facts.start_time)
    if life is None:  # a person's word may stand in for it
        return None
    changes = changes_in_a_row(record.life_changes, record.asked_life, life)
    services.tables.hosts.note_asked(record, life, changes)
    return WANTS_A_PERSON if changes >= MOST_CHANGES else None


def _missing(services: Services, record: HostRecord, facts: AgentFacts | Unknown) -> str | None:
    """Return what is missing for a lost host's agent to count as back; None when nothing is."""
    restart = services.tables.restarts.get(record.restart_id or "")
    if record.vouched_by is None:
        if restart is None:
            return "the request that lost the host is not in the record any more; reconnect by hand"
        if restart.command_sent is not None:
            return missing_proof(facts, restart.life_to_end)
    if isinstance(facts, Unknown):
        return facts.why
    return None if facts.ready is True else "the agent does not answer ready"
