"""When a host's pings are silent: claims, their deadlines, and what to do to Alertmanager.

A claim says why a host is muted and until when; a host is muted while any claim is in force.
Deadlines are whole unix seconds, and the second of the deadline itself is still muted.
A person's word is a claim too, of the other kind: it ends every claim that began before it.
Each claim has one writer, so that nobody writes over what another has just decided.
Source of the formula: ZStack's ping skip, 300 s x (floor(RSS / 4 GiB) + 1).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from memleash_responder.core.facts import AgentFacts, Unknown
from memleash_responder.core.moments import SKEW_SECONDS
from memleash_responder.core.policy import Mute

ENDED_BY_HAND = "ended-by-hand"
"""The claimant of a person's word."""
MAINTENANCE = "maintenance"
"""The claimant of a host in maintenance."""


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """One reason to keep a host's pings silent."""

    claimant: str
    """``busy:<agent>``, ``restart:<id>``, ENDED_BY_HAND or MAINTENANCE."""
    since: float
    """When this stretch began, unix time."""
    until: int
    """The last muted second, unix time."""
    reason: str
    ending: bool = False
    """Idle was seen; what is left is the tail."""

    def in_force(self, now: float) -> bool:
        """Whether this claim mutes its host at ``now``.

        One that began well after ``now`` was made before the clock was set back: its deadline
        means nothing any more, and who still has a reason claims anew.
        """
        return self.since - SKEW_SECONDS <= now < self.until + 1


def deadline(policy: Mute, resident_bytes: int | Unknown, now: float) -> int:
    """Return the last muted second for an agent of this size that is busy at ``now``.

    An unknown size gets the base.
    """
    known_bytes = 0 if isinstance(resident_bytes, Unknown) else resident_bytes
    steps = known_bytes // policy.step_bytes + 1
    return math.ceil(now + min(policy.base * steps, policy.longest))


def after_look(
    claim: Claim | None, agent: str, facts: AgentFacts | Unknown, policy: Mute, now: float
) -> Claim | None:
    """Return the busy claim of ``agent`` after a look at it: made, renewed, ending, or none.

    Unknown makes nothing new and renews nothing: what was claimed runs out by itself. It is kept
    even then, for it remembers since when: an exporter that was silent for a moment, or a stretch
    past ``max_hold``, must not begin to count anew. Idle, or a new life, does.
    """
    if isinstance(facts, Unknown) or isinstance(facts.busy, Unknown):
        return None if claim and claim.ending and not claim.in_force(now) else claim
    if facts.busy:
        goes_on = claim is not None and not claim.ending and not _began_before(claim, facts)
        before = claim if goes_on else None
        since = min(before.since, now) if before else now
        until = _renewed(before, policy, since, deadline(policy, facts.resident_bytes, now))
        return Claim(f"busy:{agent}", since, until, f"{agent} is busy")
    if claim is None:
        return None
    ending = dataclasses.replace(
        claim, until=min(claim.until, math.ceil(now + policy.tail)), ending=True
    )
    if claim.ending:
        ending = claim
    return ending if ending.in_force(now) else None


def _began_before(claim: Claim, facts: AgentFacts) -> bool:
    """Whether ``claim`` is about a former life of the agent."""
    return not isinstance(facts.start_time, Unknown) and facts.start_time > claim.since


def _renewed(before: Claim | None, policy: Mute, since: float, until: int) -> int:
    """Return the deadline of a stretch that could last ``until``, never beyond ``max_hold``.

    It stays as it was until it can be a quarter of ``base`` later: each change is written to the
    database and to Alertmanager. One that is earlier holds at once, and so does the last.
    """
    last = last_second(policy, since)
    if before is None or until >= last:
        return min(until, last)
    is_due = until < before.until or until - before.until >= policy.base / 4
    return until if is_due else before.until


def last_second(policy: Mute, since: float) -> int:
    """Return the last second that a stretch which began at ``since`` may be muted."""
    return math.ceil(since + policy.max_hold)


def after_restart_look(
    claim: Claim | None, policy: Mute, now: float, *, goes_on: bool
) -> Claim | None:
    """Return the claim of a restart after a look at whether it still ``goes_on``."""
    if claim is None:
        return None
    if claim.ending:
        return claim if claim.in_force(now) else None
    if not goes_on:
        return None
    until = _renewed(claim, policy, claim.since, deadline(policy, 0, now))
    return dataclasses.replace(claim, until=until)


def with_tail(claim: Claim | None, tail_seconds: float, now: float, reason: str) -> Claim | None:
    """Return the claim of a restart that has ended well, for so long as pings may still fail.

    It began when the restart did, so that a person's word about the restart holds for the tail.
    """
    if claim is None or claim.ending:
        return claim
    until = math.ceil(now + tail_seconds)
    return dataclasses.replace(claim, until=until, reason=reason, ending=True)


def maintenance_claim(policy: Mute, reason: str, now: float) -> Claim:
    """Return the claim of a host in maintenance. It follows from its state, and nobody ends it.

    Its deadline is from one to two ``base`` ahead and moves once in each, so that a silence is
    not written anew at every look.
    """
    until = math.ceil((now // policy.base + 2) * policy.base)
    return Claim(MAINTENANCE, now, until, f"maintenance: {reason}")


def ended_by_hand(claims: Iterable[Claim], policy: Mute, now: float) -> Claim:
    """Return a person's word that ends ``claims``, also those of a replica whose clock is ahead.

    It stands for as long as any of them could have lasted.
    """
    since = max([now, *(claim.since for claim in claims)])
    return Claim(ENDED_BY_HAND, since, last_second(policy, since), "ended by hand")


def mute_in_force(claims: Iterable[Claim], now: float) -> Claim | None:
    """Return the claim that mutes the host longest at ``now``, or None when it is not muted."""
    in_force = [claim for claim in claims if claim.in_force(now)]
    ended_at = max(
        (claim.since for claim in in_force if claim.claimant == ENDED_BY_HAND), default=-math.inf
    )
    return max(
        (claim for claim in in_force if claim.since > ended_at),
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
