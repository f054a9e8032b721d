"""The storm breaker: when much of the fleet is over its limits at once, the agents are not it.

The breaker's state is one text: empty (closed), why it is open, or IGNORED after a person
resumed; it closes by itself once the fleet calms.
"""

from __future__ import annotations

import dataclasses

from memleash_responder.core.policy import Fleet

IGNORED = "ignored"

_FEWEST_HOSTS = 2
"""One host alone is no storm, whatever is configured."""


@dataclasses.dataclass(frozen=True, slots=True)
class StormCount:
    """How many hosts are over their hard limit at once, and how many of them are a storm."""

    over: int
    hosts: int
    storm_from: int

    @classmethod
    def of(cls, over: int, hosts: int, policy: Fleet) -> StormCount:
        """Return the count for ``over`` of ``hosts`` that ask for a restart."""
        above = int(policy.storm_fraction * hosts) + 1
        return cls(over, hosts, max(_FEWEST_HOSTS, policy.storm_least, above))


def after_count(state: str, count: StormCount) -> str:
    """Return the breaker's state once the hosts were counted."""
    if count.over < count.storm_from:
        return ""
    return state or f"{count.over} of {count.hosts} hosts are over their hard limit at once"


def storm_reason(state: str) -> str | None:
    """Return why nothing may be restarted, or None."""
    return None if state in ("", IGNORED) else state
