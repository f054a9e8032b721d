"""The hosts' states now, by all that is stored and by the inventory; and the watch on all hosts.

A restart asks the controllers afresh (see restart_situation). What is stored here of their words
is for pings, pages and metrics, which are about the whole fleet.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from memleash_responder.adapters.database.hosts import HostRecord
from memleash_responder.core.facts import Host, Unknown
from memleash_responder.core.host_states import (
    ControllerState,
    HostFacts,
    Standing,
    standing,
)
from memleash_responder.core.labels import MAINTENANCE, yes_or_no
from memleash_responder.core.maintenance import Maintenance
from memleash_responder.core.matchers import Matcher, parse_matcher
from memleash_responder.core.mutes import Claim, maintenance_claim, mute_in_force
from memleash_responder.core.outcomes import HostState
from memleash_responder.errors import FactsUnavailable
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

WATCH_SECONDS = 30.0
"""How often controllers, and Prometheus about pings, are asked about the whole fleet."""

PINGS = ":pings"
"""Whose word it is, beside those of controllers, that a host's pings fail. None is named so."""


@dataclasses.dataclass(frozen=True, slots=True)
class KnownHosts:
    """What is stored of all hosts, read for one look."""

    records: Mapping[str, HostRecord]
    """Of every host that was ever held."""
    labelled: AbstractSet[str]
    """The hosts that the inventory says are in maintenance."""
    maintenance: Mapping[str, Maintenance]
    told: Mapping[str, tuple[ControllerState, ...]]
    """The last words of controllers, and PINGS."""
    muted: AbstractSet[str]
    """The hosts whose pings are muted, by what is stored."""

    def record(self, host: str) -> HostRecord:
        """Return what restarts left of a host."""
        return self.records.get(host) or HostRecord(host)

    def facts(self, host: str) -> HostFacts:
        """Return what a host's state follows from, by the last words of its controllers."""
        told = self.told.get(host, ())
        return HostFacts(
            by_restarts=self.record(host).state,
            problem=self.record(host).problem,
            labelled=host in self.labelled,
            maintenance=self.maintenance.get(host),
            controllers=tuple(one for one in told if one.controller != PINGS),
            pings_fail=host not in self.muted and any(one.controller == PINGS for one in told),
        )

    def standing(self, host: str) -> Standing:
        """Return a host's state."""
        return standing(self.facts(host))

    def state(self, host: str) -> HostState:
        """Return a host's state alone."""
        return self.standing(host).state


def known_hosts(services: Services) -> KnownHosts:
    """Read it. Raises DatabaseUnavailable."""
    memory, now = services.memory, services.clock.now()
    hosts = services.outside.inventory.hosts()
    return KnownHosts(
        records=memory.hosts.all(),
        labelled={name for name, host in hosts.items() if yes_or_no(host.labels, MAINTENANCE)},
        maintenance=memory.maintenance.holding(now),
        told=memory.controller_states.believed(now),
        muted={host for host, of in memory.mutes.all().items() if mute_in_force(of, now)},
    )


def read_pings(services: Services, host: str, known: KnownHosts) -> bool | Unknown:
    """Ask Prometheus whether a host's pings fail, and no mute of ours holds that back."""
    if host in known.muted:
        return False
    try:
        now, prometheus = services.clock.now(), services.outside.prometheus
        return bool(prometheus.hosts_with_alerts(_of_pings(services), now, host=host))
    except FactsUnavailable as error:
        return Unknown(str(error))


def _of_pings(services: Services) -> list[Matcher]:
    return [parse_matcher(text) for text in services.settings.mute.matchers]


def claims_of_maintenance(services: Services, known: KnownHosts) -> dict[str, tuple[Claim, ...]]:
    """Return the claims on silence that follow from maintenance, by host; none is stored."""
    now, policy = services.clock.now(), services.settings.mute
    standings = {name: known.standing(name) for name in services.outside.inventory.hosts()}
    return {
        name: (maintenance_claim(policy, one.reason, now),)
        for name, one in standings.items()
        if one.state is HostState.MAINTENANCE
    }


def all_claims(services: Services, known: KnownHosts) -> dict[str, tuple[Claim, ...]]:
    """Return every claim on a host's silence by host: those stored, and those of maintenance."""
    stored, of_maintenance = services.memory.mutes.all(), claims_of_maintenance(services, known)
    return {
        host: (*stored.get(host, ()), *of_maintenance.get(host, ()))
        for host in stored.keys() | of_maintenance.keys()
    }


class HostWatch:
    """Asks the controllers and Prometheus about all hosts, and stores their words."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._rounds = 0

    def look(self) -> None:
        """Ask every controller about every host, and Prometheus whose pings fail.

        Each round begins elsewhere, so that a few hosts that a controller cannot tell of hide no
        others for ever.
        """
        services = self._services
        hosts = list(services.outside.inventory.hosts().values())
        first = self._rounds * 97 % max(1, len(hosts))
        self._rounds += 1
        told = dict(services.outside.controllers.states_of_all(hosts[first:] + hosts[:first]))
        told[PINGS] = self._pings(hosts)
        before = services.memory.controller_states.believed(services.clock.now())
        for whose, states in told.items():
            services.memory.controller_states.put(whose, states, services.clock.now())
            _log_silence(whose, states)
        after = services.memory.controller_states.believed(services.clock.now())
        for host in sorted(before.keys() | after.keys()):
            if before.get(host) != after.get(host):
                said = [f"{one.controller}: {one.state}" for one in after.get(host, ())]
                told_of = {"host": host, "said": ", ".join(said) or "connected"}
                log.info("what is said of a host", extra=told_of)
                services.mutes_changed.set()

    def _pings(self, hosts: Sequence[Host]) -> Mapping[str, HostState | Unknown | None]:
        services = self._services
        try:
            failing = services.outside.prometheus.hosts_with_alerts(
                _of_pings(services), services.clock.now()
            )
        except FactsUnavailable as error:
            return {host.name: Unknown(str(error)) for host in hosts}
        return {one.name: HostState.DISCONNECTED if one.name in failing else None for one in hosts}


def _log_silence(whose: str, states: Mapping[str, HostState | Unknown | None]) -> None:
    silent = {host: one.why for host, one in states.items() if isinstance(one, Unknown)}
    if silent:
        host, why = next(iter(silent.items()))
        log.warning(
            "the states of hosts are not known",
            extra={"of": whose, "hosts": len(silent), "host": host, "reason": why},
        )
