"""The storm breaker of the fleet: counted from the alerts that were told, kept in a switch."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from memleash_responder.core.moments import SKEW_SECONDS
from memleash_responder.core.storms import StormCount, after_count, storm_reason
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

STORM = "storm"
"""The breaker's switch in Flags."""


def standing_storm(flags: Mapping[str, tuple[str, float, str]]) -> str | None:
    """Return why the storm breaker is open, by what ``Flags.all`` says; None while it is not."""
    return storm_reason(flags[STORM][0]) if STORM in flags else None


def count_hosts_over(services: Services) -> StormCount:
    """Count the hosts of the inventory that an alert lately asked to restart."""
    fleet, now = services.settings.fleet, services.clock.now()
    over = services.tables.alerts.hosts_to_restart(
        since=now - fleet.storm_window, until=now + SKEW_SECONDS
    )
    return StormCount.of(over, len(services.outside.inventory.hosts()), fleet)


def watch_for_storm(services: Services) -> None:
    """Open the storm breaker, or close it when the fleet is calm."""
    flags, count = services.tables.flags, count_hosts_over(services)
    before = flags.all().get(STORM, ("", 0.0, ""))[0]
    state = after_count(before, count)
    if state != before:
        flags.set(STORM, state, "storm breaker", services.clock.now())
        log.warning("storm breaker", extra={"state": state or "calm", "hosts_over": count.over})
