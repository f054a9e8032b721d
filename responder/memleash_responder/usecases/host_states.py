"""The hosts' states now, by all that is stored and by the inventory; and the watch on controllers.

A restart asks the controllers afresh (see restart_situation). What is stored here of their words
is for pings, pages and metrics, which are about the whole fleet.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from memleash_responder.adapters.database.hosts import HostRecord
from memleash_responder.core.facts import Unknown
from memleash_responder.core.host_states import (
    ControllerState,
    HostFacts,
    Standing,
    known_standing,
)
from memleash_responder.core.labels import MAINTENANCE, yes_or_no
from memleash_responder.core.maintenance import Maintenance
from memleash_responder.core.mutes import Claim, maintenance_claim
from memleash_responder.core.outcomes import HostState
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

WATCH_SECONDS = 30.0
"""How often controllers are asked about the whole fleet."""


@dataclasses.dataclass(frozen=True, slots=True)
class KnownHosts:
    """What is stored of all hosts, read for one look."""

    records: Mapping[str, HostRecord]
    """Of every host that was ever held."""
    labelled: AbstractSet[str]
    """The hosts that the inventory says are in maintenance."""
    maintenance: Mapping[str, Maintenance]
    told: Mapping[str, tuple[ControllerState, ...]]

    def record(self, host: str) -> HostRecord:
        """Return what restarts left of a host."""
        return self.records.get(host) or HostRecord(host)

    def facts(self, host: str) -> HostFacts:
        """Return what a host's state follows from, by the last words of its controllers."""
        return HostFacts(
            by_restarts=self.record(host).state,
            labelled=host in self.labelled,
            maintenance=self.maintenance.get(host),
            controllers=self.told.get(host, ()),
        )

    def standing(self, host: str) -> Standing:
        """Return a host's state."""
        return known_standing(self.facts(host))

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
    )


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


class ControllerWatch:
    """Asks the controllers what they call the hosts, and stores their words."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._rounds = 0

    def look(self) -> None:
        """Ask every controller about every host; each round begins elsewhere.

        So a few hosts that a controller cannot tell of hide no others for ever.
        """
        services = self._services
        hosts = list(services.outside.inventory.hosts().values())
        first = self._rounds * 97 % max(1, len(hosts))
        self._rounds += 1
        told = services.outside.controllers.states_of_all(hosts[first:] + hosts[:first])
        if not told:
            return
        before = services.memory.controller_states.believed(services.clock.now())
        for controller, states in told.items():
            services.memory.controller_states.put(controller, states, services.clock.now())
            self._log_silence(controller, states)
        after = services.memory.controller_states.believed(services.clock.now())
        for host in sorted(before.keys() | after.keys()):
            if before.get(host) != after.get(host):
                said = [f"{one.controller}: {one.state}" for one in after.get(host, ())]
                log.info("controllers' word", extra={"host": host, "said": said or "connected"})
                services.mutes_changed.set()

    def _log_silence(
        self, controller: str, states: Mapping[str, HostState | Unknown | None]
    ) -> None:
        silent = {host: one.why for host, one in states.items() if isinstance(one, Unknown)}
        if silent:
            host, why = next(iter(silent.items()))
            log.warning(
                "a controller cannot say the states of hosts",
                extra={"controller": controller, "hosts": len(silent), "host": host, "reason": why},
            )
