"""Asks controllers, and Prometheus about pings, about the whole fleet, and stores what they say."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future

from memleash_responder.adapters.own_metrics import Part
from memleash_responder.core.controller_rounds import believed_seconds, in_turn
from memleash_responder.core.facts import Host, Unknown
from memleash_responder.core.host_states import HostState
from memleash_responder.errors import ResponderError
from memleash_responder.usecases.host_states import ping_alerts
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

WATCH_SECONDS = 30.0
"""How long a controller rests between two rounds, and Prometheus is not asked about pings."""
STORE_SECONDS = 5.0
"""A round that takes longer is stored in parts, each so long after the one before."""
GIVEN_UP_AFTER = 3
"""A controller that cannot tell of so many hosts in a row is left alone until its next round."""

Ask = Callable[[Host], HostState | Unknown | None]


@dataclasses.dataclass(slots=True)
class _Rounds:
    """How a controller is being asked. Times are uptime, in seconds."""

    current: Future[None] | None = None
    due_at: float = 0.0
    last_host: str = ""
    """The host that it was asked about last."""
    asked_at: dict[str, float] = dataclasses.field(default_factory=dict)
    """When it was last asked, by host."""


class ControllerWatch:
    """Asks each controller about every host, in rounds of its own."""

    def __init__(self, services: Services, workers: Executor) -> None:
        """``workers`` run a round each: a controller that hangs must hold up no other."""
        self._services = services
        self._workers = workers
        self._rounds: dict[str, _Rounds] = {}

    def look(self) -> None:
        """Begin a round with each controller that is due."""
        uptime = self._uptime()
        for name, ask in self._services.outside.controllers.states_by_controller.items():
            rounds = self._rounds.setdefault(name, _Rounds())
            is_under_way = rounds.current is not None and not rounds.current.done()
            if not is_under_way and uptime >= rounds.due_at:
                rounds.current = self._workers.submit(self._try_round, name, ask, rounds)

    def _uptime(self) -> float:
        return self._services.clock.stamp().uptime_seconds

    def _try_round(self, name: str, ask: Ask, rounds: _Rounds) -> None:
        try:
            self._round(name, ask, rounds)
        except Exception as error:  # a worker's boundary: asked again in the next round
            self._services.telemetry.failures.labels(Part.WATCH_HOSTS).inc()
            log.warning(
                "what a controller calls the hosts was not stored",
                extra={"controller": name, "reason": str(error)},
                exc_info=not isinstance(error, ResponderError),
            )
        finally:
            rounds.due_at = self._uptime() + WATCH_SECONDS

    def _round(self, name: str, ask: Ask, rounds: _Rounds) -> None:
        """Ask about one host after another, and store what is said in good time."""
        hosts = self._services.outside.inventory.hosts()
        words: dict[str, HostState | Unknown | None] = {}
        stored_at, silent = self._uptime(), 0
        for host in in_turn(hosts, rounds.last_host):
            words[host] = word = ask(hosts[host])
            rounds.last_host = host
            silent = silent + 1 if isinstance(word, Unknown) else 0
            if silent == GIVEN_UP_AFTER:
                break
            if self._uptime() - stored_at >= STORE_SECONDS:
                self._store(name, words, rounds)
                words, stored_at = {}, self._uptime()
        self._store(name, words, rounds)
        rounds.asked_at = {host: at for host, at in rounds.asked_at.items() if host in hosts}

    def _store(
        self, name: str, words: Mapping[str, HostState | Unknown | None], rounds: _Rounds
    ) -> None:
        services, uptime = self._services, self._uptime()
        lap_seconds = max((uptime - rounds.asked_at.get(host, uptime) for host in words), default=0)
        rounds.asked_at.update(dict.fromkeys(words, uptime))
        now = services.clock.now()
        until = now + believed_seconds(lap_seconds)
        changes = services.tables.controller_states.put(name, words, now, until)
        for host, state in changes.items():
            said = {"controller": name, "host": host, "state": state}
            log.info("what a controller calls a host", extra=said)
        if changes:
            services.mutes_changed.set()
        unknown = {host: word.why for host, word in words.items() if isinstance(word, Unknown)}
        if unknown:
            host, why = next(iter(unknown.items()))
            log.warning(
                "a controller cannot tell the states of hosts",
                extra={"controller": name, "hosts": len(unknown), "host": host, "reason": why},
            )


def watch_pings(services: Services) -> None:
    """Ask Prometheus whose pings fail, and store it. Raises FactsUnavailable."""
    now = services.clock.now()
    failing = services.outside.prometheus.hosts_with_alerts(ping_alerts(services), now)
    changes = services.tables.failing_pings.put(
        failing & services.outside.inventory.hosts().keys(), now
    )
    for host, fail in changes.items():
        log.info("pings of a host", extra={"host": host, "fail": fail})
