"""Claims on the hosts' silence: busy is read again from the exporter, and people end mutes.

What Alertmanager has follows from the claims (see silences). One replica does it for all (see
keeper). Hosts are asked in workers, so that the keeper goes on; those that do not answer promptly
wait for the others (see exporter_turns).
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future
from datetime import UTC, datetime

from memleash_responder.adapters.own_metrics import Part
from memleash_responder.core.exporter_turns import PROMPT_SECONDS, Turn, after_ask, next_in_line
from memleash_responder.core.facts import AgentFacts, Unknown
from memleash_responder.core.mutes import (
    ENDED_BY_HAND,
    Claim,
    after_look,
    after_restart_look,
    ended_by_hand,
    mute_in_force,
)
from memleash_responder.usecases.agent_facts import read_agents
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

_BUSY = "busy:"
_RESTART = "restart:"


@dataclasses.dataclass(slots=True)
class _Waiting:
    """A host that waits to be asked patiently."""

    agents: set[str] = dataclasses.field(default_factory=set)
    asked: Future[bool] = dataclasses.field(default_factory=Future)
    """Whether it could be asked, once its turn has come."""


class Muting:
    """Keeps the claims on the hosts' silence."""

    def __init__(self, services: Services, prompt: Executor, patient: Executor) -> None:
        """``prompt`` asks hosts that answer promptly, ``patient`` those that do not."""
        self._services = services
        self._prompt, self._patient = prompt, patient
        self._locks: dict[str, threading.Lock] = {}
        self._renewing: set[str] = set()
        self._turns: dict[str, Turn] = {}
        self._queueing = threading.Lock()
        self._waiting: dict[str, _Waiting] = {}

    def look(self, host: str, agent: str, ended: Callable[[bool], None]) -> None:
        """Read afresh whether ``agent`` is busy, and claim, renew or end its host's silence.

        ``ended`` is called with whether the host could be asked: at once, or after a second look
        where the host does not answer promptly, which comes behind those that do. Nobody needs to
        wait for one that hung before: it is asked again in its turn.
        """
        turn = self._ask(host, {agent}, patiently=False)
        if not turn.is_slow:
            ended(True)
            return
        asked = self._stand_in_line(host, {agent}, ahead=True)
        if turn.hangs:
            ended(True)
        else:
            asked.add_done_callback(lambda one: ended(one.result()))

    def renew(self) -> None:
        """Begin to look again at every host that has a claim and is not being looked at."""
        claims_by_host = self._services.tables.mutes.all()
        for host in set(self._turns) - claims_by_host.keys() - self._waiting.keys():
            self._turns.pop(host, None)
        for host, claims in claims_by_host.items():
            if host in self._renewing:
                continue
            self._renewing.add(host)
            try:
                self._prompt.submit(self._renew, host, claims)
            except RuntimeError:  # no thread can be had
                self._renewing.discard(host)
                raise

    def _renew(self, host: str, claims: Collection[Claim]) -> None:
        busy = {one.claimant.removeprefix(_BUSY) for one in claims if _is_busy(one)}
        configured = busy & self._services.settings.agents.keys()
        try:
            for claim in claims:
                if not _is_busy(claim) or claim.claimant.removeprefix(_BUSY) not in configured:
                    self._guarded(host, self._renew_stored, host, claim.claimant)
            if configured:
                self._guarded(host, self._renew_busy, host, configured)
        finally:
            self._renewing.discard(host)

    def _renew_stored(self, host: str, claimant: str) -> None:
        """Renew a claim that rests on what is stored, or forget it."""
        services = self._services
        policy, now = services.settings.mute, services.clock.now()
        goes_on = False
        if claimant.startswith(_RESTART):
            restart = services.tables.restarts.get(claimant.removeprefix(_RESTART))
            goes_on = restart is not None and restart.outcome is None

        def after(claim: Claim | None) -> Claim | None:
            if claimant.startswith(_RESTART):
                return after_restart_look(claim, policy, now, goes_on=goes_on)
            still_holds = claimant == ENDED_BY_HAND and claim is not None and claim.in_force(now)
            return claim if still_holds else None

        services.tables.mutes.change(host, claimant, after)

    def _renew_busy(self, host: str, agents: set[str]) -> None:
        if self._uptime() < self._turns.get(host, Turn()).due_at:
            return
        if self._ask(host, agents, patiently=False).is_slow:
            self._stand_in_line(host, agents)

    def _stand_in_line(self, host: str, agents: set[str], *, ahead: bool = False) -> Future[bool]:
        """Have a host asked with patience when its turn comes."""
        with self._queueing:
            waiting = self._waiting.setdefault(host, _Waiting())
            waiting.agents.update(agents)
            self._turns[host] = self._turns.get(host, Turn()).in_line(ahead=ahead)
        try:
            self._patient.submit(self._ask_next)
        except RuntimeError:  # no thread can be had
            with self._queueing:
                left = self._waiting.pop(host, None)
                self._turns.pop(host, None)
            if left is not None:
                left.asked.set_result(False)
            raise
        return waiting.asked

    def _ask_next(self) -> None:
        with self._queueing:
            if not self._waiting:  # one that waited twice was asked once
                return
            host = next_in_line(self._waiting, self._turns)
            waiting = self._waiting.pop(host)
        was_asked = self._guarded(host, lambda: self._ask(host, waiting.agents, patiently=True))
        if not was_asked:
            self._turns.pop(host, None)
        waiting.asked.set_result(was_asked)

    def _ask(self, name: str, agents: Collection[str], *, patiently: bool) -> Turn:
        """Ask a host about ``agents``, store what follows, and return its turn.

        Looks at one host are made one after another, so that what was read last is also written
        last. Only one that is made ``patiently`` waits for as long as is configured, and asks a
        host that is known to be slow.
        """
        services = self._services
        with self._locks.setdefault(name, threading.Lock()):
            host = services.outside.inventory.get(name)
            if host is None:
                self._turns.pop(name, None)
                return Turn()
            turn = self._turns.get(name, Turn())
            if turn.is_slow and not patiently:
                return turn
            began, patience = self._uptime(), services.settings.exporter.timeout
            prompt = min(PROMPT_SECONDS, patience)
            timeout_seconds = patience if patiently else prompt
            facts = read_agents(services, host, agents, timeout_seconds=timeout_seconds)
            uptime = self._uptime()
            turn = self._turns[name] = after_ask(
                turn,
                services.settings.mute,
                answered=not all(isinstance(one, Unknown) for one in facts.values()),
                is_slow=uptime - began >= prompt,
                patiently=patiently,
                uptime=uptime,
            )
            for agent in agents:
                self._store(name, agent, facts[agent])
        return turn

    def _store(self, host: str, agent: str, facts: AgentFacts | Unknown) -> None:
        services = self._services
        policy, now = services.settings.mute, services.clock.now()
        before, claim = services.tables.mutes.change(
            host, f"{_BUSY}{agent}", lambda before: after_look(before, agent, facts, policy, now)
        )
        if claim == before or _is_plain_renewal(before, claim):
            return  # Alertmanager hears of a renewal in its turn
        log.info(
            "mute" if claim and not claim.ending else "mute ends",
            extra={"host": host, "agent": agent, "until": _iso(claim.until) if claim else "now"},
        )
        services.mutes_changed.set()

    def _guarded(self, host: str, work: Callable[..., object], *args: object) -> bool:
        """Do ``work`` for a host in a worker, and say whether it could be done."""
        try:
            work(*args)
        except Exception as error:  # a worker's boundary: the host is looked at again
            self._services.telemetry.failures.labels(Part.RENEW_MUTES).inc()
            log.warning("mute not renewed", extra={"host": host, "reason": str(error)})
            log.debug("mute not renewed", exc_info=True)
            return False
        return True

    def _uptime(self) -> float:
        return self._services.clock.stamp().uptime_seconds

    def end(self, host: str) -> bool:
        """End a host's mute by hand; whether there was one.

        What mutes it now does so no more. A stretch that begins later mutes it again: the agent
        was idle once, or is a new process, or another restart begins.
        """
        services = self._services
        now, claims = services.clock.now(), services.tables.mutes.of_host(host)
        if mute_in_force(claims, now) is None:
            return False
        services.tables.mutes.put(host, ended_by_hand(claims, services.settings.mute, now))
        services.mutes_changed.set()
        return True


def _is_busy(claim: Claim) -> bool:
    """Whether a claim rests on what an exporter says."""
    return claim.claimant.startswith(_BUSY)


def _is_plain_renewal(before: Claim | None, claim: Claim | None) -> bool:
    """Whether a claim was only made longer."""
    if before is None or claim is None:
        return False
    same_stretch = (before.since, before.ending) == (claim.since, claim.ending)
    return same_stretch and claim.until >= before.until


def _iso(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, tz=UTC).isoformat().replace("+00:00", "Z")
