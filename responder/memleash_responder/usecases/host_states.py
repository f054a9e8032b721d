"""The hosts' states now, by all that is stored and by the inventory.

A restart asks the controllers afresh (see restart_situation). What is stored of their words (see
host_watch) is for pings, pages and metrics, which are about the whole fleet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from memleash_responder.adapters.database.hosts import HostRecord
from memleash_responder.core.facts import Host, Unknown
from memleash_responder.core.host_states import (
    ControllerState,
    HostFacts,
    HostState,
    Standing,
    standing,
)
from memleash_responder.core.inventory_labels import MAINTENANCE, yes_or_no
from memleash_responder.core.maintenance import Maintenance
from memleash_responder.core.matchers import Matcher, parse_matcher
from memleash_responder.core.mutes import Claim, maintenance_claim, mute_in_force
from memleash_responder.errors import FactsUnavailable
from memleash_responder.usecases.services import Services


@dataclasses.dataclass(frozen=True, slots=True)
class KnownHosts:
    """What is stored of all hosts, or of one, read for one look."""

    read_at: float
    """Unix time."""
    inventory: Mapping[str, Host]
    """The hosts of the inventory by name."""
    records: Mapping[str, HostRecord]
    """Of every host that is not simply in service."""
    maintenance: Mapping[str, Maintenance]
    """People's, as far as it holds."""
    controller_states: Mapping[str, tuple[ControllerState, ...]]
    """What controllers called a host when they were last asked, as far as it is believed."""
    failing_pings: Mapping[str, float]
    """Since when, unix time, the pings of hosts fail, by what Prometheus said last."""
    claims: Mapping[str, tuple[Claim, ...]]
    """The claims on hosts' silence that are stored."""

    def record(self, host: str) -> HostRecord:
        """Return what restarts left of a host."""
        return self.records.get(host) or HostRecord(host)

    def is_muted(self, host: str) -> bool:
        """Whether a host's pings are muted, by the claims that are stored."""
        return mute_in_force(self.claims.get(host, ()), self.read_at) is not None

    def facts(self, host: str) -> HostFacts:
        """Return what a host's state follows from, by the last words of its controllers."""
        record, listed = self.record(host), self.inventory.get(host)
        return HostFacts(
            by_restarts=record.state,
            changed_at=None if record.state is HostState.CONNECTED else record.changed_at,
            problem=record.problem,
            labelled=listed is not None and yes_or_no(listed.labels, MAINTENANCE) is True,
            maintenance=self.maintenance.get(host),
            controllers=self.controller_states.get(host, ()),
            pings_fail=host in self.failing_pings and not self.is_muted(host),
            pings_fail_since=self.failing_pings.get(host),
        )

    def standing(self, host: str) -> Standing:
        """Return a host's state."""
        return standing(self.facts(host))

    def state(self, host: str) -> HostState:
        """Return a host's state alone."""
        return self.standing(host).state

    def out_of_service(self) -> dict[str, Standing]:
        """Return the standing of each host of the inventory that is not connected, by name.

        Those alone are looked at of which anybody says anything: of many hosts, few.
        """
        labelled = {name for name, one in self.inventory.items() if MAINTENANCE in one.labels}
        said_of = self.records.keys() | self.maintenance.keys() | self.failing_pings.keys()
        named = (labelled | said_of | self.controller_states.keys()) & self.inventory.keys()
        standings = {name: self.standing(name) for name in sorted(named)}
        return {
            name: one for name, one in standings.items() if one.state is not HostState.CONNECTED
        }


def state_in(out_of_service: Mapping[str, Standing], host: str) -> HostState:
    """Return a host's state, which is connected unless it is among those ``out_of_service``."""
    return out_of_service[host].state if host in out_of_service else HostState.CONNECTED


def known_hosts(services: Services, host: str | None = None) -> KnownHosts:
    """Read it, of all hosts or of one alone. Raises DatabaseUnavailable."""
    tables, now = services.tables, services.clock.now()
    inventory = services.outside.inventory.hosts()
    controllers = services.outside.controllers.states_by_controller.keys()
    if host is not None:
        inventory = {host: inventory[host]} if host in inventory else {}
        records = {host: tables.hosts.get(host)}
    else:
        records = {one.host: one for one in tables.hosts.in_need()}
    return KnownHosts(
        read_at=now,
        inventory=inventory,
        records=records,
        maintenance=tables.maintenance.holding(now, host),
        controller_states=tables.controller_states.believed(now, controllers, host),
        failing_pings=tables.failing_pings.believed(now, host),
        claims=tables.mutes.all() if host is None else {host: tables.mutes.of_host(host)},
    )


def ping_alerts(services: Services) -> list[Matcher]:
    """Return what matches the alerts about pings."""
    return [parse_matcher(text) for text in services.settings.mute.matchers]


def read_pings(services: Services, host: str, known: KnownHosts) -> bool | Unknown:
    """Ask Prometheus whether a host's pings fail, and no mute of ours holds that back."""
    if known.is_muted(host):
        return False
    try:
        now, prometheus = services.clock.now(), services.outside.prometheus
        return bool(prometheus.hosts_with_alerts(ping_alerts(services), now, host=host))
    except FactsUnavailable as error:
        return Unknown(str(error))


def claims_of_maintenance(services: Services, known: KnownHosts) -> dict[str, tuple[Claim, ...]]:
    """Return the claims on silence that follow from maintenance, by host; none is stored."""
    policy = services.settings.mute
    return {
        name: (maintenance_claim(policy, one.reason, known.read_at),)
        for name, one in known.out_of_service().items()
        if one.state is HostState.MAINTENANCE
    }


def all_claims(services: Services, known: KnownHosts) -> dict[str, tuple[Claim, ...]]:
    """Return every claim on a host's silence by host: those stored, and those of maintenance."""
    of_maintenance = claims_of_maintenance(services, known)
    return {
        host: (*known.claims.get(host, ()), *of_maintenance.get(host, ()))
        for host in known.claims.keys() | of_maintenance.keys()
    }
