"""The storm breaker: when much of the fleet is over its limits at once, the agents are not it.

The breaker's state is one text: empty (closed), why it is open, or IGNORED after a person
resumed; it closes by itself once the fleet calms.
"""

from __future__ import annotations

from memleash_responder.core.policy import Fleet

IGNORED = "ignored"


def after_count(state: str, over: int, hosts: int, policy: Fleet) -> str:
    """Return the breaker's state when ``over`` of ``hosts`` ask for a restart.

    One host alone is never a storm, however small the fleet.
    """
    if over <= max(1.0, policy.storm_fraction * hosts):
        return ""
    if state:
        return state
    return f"{over} of {hosts} hosts are over their hard limit at once"


def storm_reason(state: str) -> str | None:
    """Return why nothing may be restarted, or None."""
    return None if state in ("", IGNORED) else state
