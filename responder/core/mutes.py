"""When a host's pings are silent: claims, their deadlines, and what to do to Alertmanager.

A claim says why a host is muted and until when; a host is muted while any claim is in force.
Deadlines are whole unix seconds, and the second of the deadline itself is still muted.
Source of the formula: ZStack's ping skip, 300 s x (floor(RSS / 4 GiB) + 1).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from responder.core.facts import AgentFacts, Unknown
from responder.core.policy import Mute


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """One reason to keep a host's pings silent."""

    claimant: str
    """``busy:<agent>`` or ``restart:<id>``."""
    since: float
    """When this stretch began, unix time."""
    until: int
    """The last muted second, unix time."""
    reason: str
    ending: bool = False
    """Idle was seen; what is left is the tail."""

    def in_force(self, now: float) -> bool:
        """Whether this claim mutes its host at ``now``."""
        return now < self.until + 1


def deadline(policy: Mute, resident_bytes: int | None, now: float) -> int:
    """Return the last muted second for an agent of this size that is busy at ``now``.

    An unknown size gets the base.
    """
    steps = (resident_bytes or 0) // policy.step_bytes + 1
    return math.ceil(now + min(policy.base * steps, policy.longest))


def after_look(
    claim: Claim | None, agent: str, facts: AgentFacts | Unknown, policy: Mute, now: float
) -> Claim | None:
    """Return the busy claim of ``agent`` after a look at it: made, renewed, ending, or none.

    Unknown makes nothing new and renews nothing; what was claimed runs out by itself.
    """
    if isinstance(facts, Unknown) or facts.busy is None:
        return claim if claim and claim.in_force(now) else None
    if facts.busy:
        fresh = claim is None or claim.ending
        since = now if fresh or claim is None else claim.since
        until = min(deadline(policy, facts.resident_bytes, now), math.ceil(since + policy.max_hold))
        # Past max_hold the claim is kept though it mutes nothing: it remembers since.
        return Claim(f"busy:{agent}", since, until, f"{agent} is busy")
    if claim is None:
        return None
    ending = dataclasses.replace(
        claim, until=min(claim.until, math.ceil(now + policy.tail)), ending=True
    )
    if claim.ending:
        ending = claim
    return ending if ending.in_force(now) else None


def mute_in_force(claims: Iterable[Claim], now: float) -> Claim | None:
    """Return the claim that mutes the host longest at ``now``, or None when it is not muted."""
    return max(
        (claim for claim in claims if claim.in_force(now)),
        key=lambda claim: claim.until,
        default=None,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class HeldSilence:
    """A silence of ours that Alertmanager holds for a host."""

    id: str
    ends_at: float


@dataclasses.dataclass(frozen=True, slots=True)
class SilencePlan:
    """What makes Alertmanager agree with the claims."""

    put: bool
    """Whether a silence has to be written."""
    silence_id: str | None
    """The one to renew in place; None writes a new one."""
    ends_at: float
    """When it is to end, unix time: just after the last muted second."""
    expire: tuple[str, ...]
    """Silences that are too many."""


def plan_silence(mute: Claim | None, held: Iterable[HeldSilence]) -> SilencePlan:
    """Return how to get from the silences ``held`` for a host to exactly what ``mute`` wants."""
    by_end = sorted(held, key=lambda silence: silence.ends_at, reverse=True)
    if mute is None:
        return SilencePlan(False, None, 0.0, tuple(silence.id for silence in by_end))
    ends_at = float(mute.until + 1)
    keep = by_end[0] if by_end else None
    return SilencePlan(
        put=keep is None or abs(keep.ends_at - ends_at) >= 1,
        silence_id=keep.id if keep else None,
        ends_at=ends_at,
        expire=tuple(silence.id for silence in by_end[1:]),
    )
