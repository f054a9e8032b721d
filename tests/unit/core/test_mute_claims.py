"""How long a busy agent mutes its host, when that ends, and what Alertmanager is told."""

from __future__ import annotations

import dataclasses

import pytest

from memleash_responder.core.facts import AgentFacts, Unknown
from memleash_responder.core.mutes import (
    ENDED_BY_HAND,
    Claim,
    HeldSilence,
    SilencePlan,
    after_look,
    after_restart_look,
    deadline,
    ended_by_hand,
    mute_in_force,
    plan_silence,
    with_tail,
)
from memleash_responder.core.policy import GIB, Mute
from memleash_toolkit.values import Duration

NOW = 1_800_000_000.0
POLICY = Mute()
BUSY = AgentFacts(up=True, start_time=NOW - 9 * 86_400, resident_bytes=GIB, busy=True)
IDLE = dataclasses.replace(BUSY, busy=False)
CLAIM = Claim("busy:kvmagent", NOW - 100, int(NOW + 200), "kvmagent is busy")


@pytest.mark.parametrize(
    ("resident_bytes", "minutes"),
    [
        (Unknown("no sample"), 5),
        (0, 5),
        (4 * GIB - 1, 5),
        (4 * GIB, 10),
        (8 * GIB - 1, 10),
        (10 * GIB, 15),
        (100 * GIB, 60),
        (40 * GIB, 55),
        (44 * GIB, 60),
        (400 * GIB, 60),
    ],
)
def test_a_mute_is_5_minutes_for_each_begun_4_gib_and_an_hour_at_most(
    resident_bytes: int | Unknown, minutes: int
) -> None:
    assert deadline(POLICY, resident_bytes, NOW) == NOW + 60 * minutes


def test_the_second_of_the_deadline_is_still_muted_and_the_next_is_not() -> None:
    assert CLAIM.in_force(CLAIM.until)
    assert CLAIM.in_force(CLAIM.until + 0.999)
    assert not CLAIM.in_force(CLAIM.until + 1)


def test_a_clock_that_is_set_back_does_not_stretch_a_mute() -> None:
    """Seen: set back by a day, the tail of a mute lasted a day."""
    tail = Claim("restart:1", NOW, int(NOW + 60), "kvmagent was restarted", ending=True)
    assert tail.in_force(NOW - 59), "a replica's clock may be that much behind"
    assert not tail.in_force(NOW - 86_400)


def test_each_look_at_a_busy_agent_overwrites_the_deadline_also_with_an_earlier_one() -> None:
    later = dataclasses.replace(CLAIM, until=int(NOW + 3000))
    renewed = after_look(later, "kvmagent", BUSY, POLICY, NOW)
    assert renewed is not None
    assert (renewed.since, renewed.until) == (later.since, NOW + 300)


@pytest.mark.parametrize(
    ("seconds", "is_renewed"), [(15, False), (74, False), (75, True), (90, True), (4000, True)]
)
def test_a_deadline_is_set_anew_once_it_is_a_quarter_of_base_later(
    seconds: float, is_renewed: bool
) -> None:
    """Each change is a write to the database and one to Alertmanager."""
    busy = Claim("busy:kvmagent", NOW, int(NOW + 300), "kvmagent is busy")
    restart = dataclasses.replace(busy, claimant="restart:1")
    looks = [
        after_look(busy, "kvmagent", BUSY, POLICY, NOW + seconds),
        after_restart_look(restart, POLICY, NOW + seconds, goes_on=True),
    ]
    for before, after in zip([busy, restart], looks, strict=True):
        until = NOW + seconds + 300 if is_renewed else before.until
        assert after == dataclasses.replace(before, until=int(until))


def test_a_larger_agent_gets_its_later_deadline_at_once() -> None:
    grown = dataclasses.replace(BUSY, resident_bytes=4 * GIB)
    renewed = after_look(CLAIM, "kvmagent", grown, POLICY, NOW)
    assert renewed is not None
    assert renewed.until == NOW + 600


def test_the_last_deadline_of_a_stretch_is_max_hold_to_the_second() -> None:
    since = NOW - POLICY.max_hold + 250
    before = dataclasses.replace(CLAIM, since=since, until=int(NOW + 240))
    assert after_look(before, "kvmagent", BUSY, POLICY, NOW) == dataclasses.replace(
        before, until=int(NOW + 250)
    )


def test_no_stretch_of_being_busy_is_muted_beyond_max_hold() -> None:
    since = NOW - POLICY.max_hold
    at_the_end = after_look(
        dataclasses.replace(CLAIM, since=since), "kvmagent", BUSY, POLICY, NOW + 10
    )
    assert at_the_end is not None
    assert not at_the_end.in_force(NOW + 10)
    assert at_the_end.since == since, "or the next look would begin a new stretch"


def test_idle_leaves_the_tail_and_then_nothing() -> None:
    ending = after_look(CLAIM, "kvmagent", IDLE, POLICY, NOW)
    assert ending is not None
    assert (ending.ending, ending.until) == (True, NOW + 60)
    assert after_look(ending, "kvmagent", IDLE, POLICY, NOW + 30) == ending, "the tail runs out"
    assert after_look(ending, "kvmagent", IDLE, POLICY, NOW + 61) is None


def test_the_tail_never_makes_a_mute_longer() -> None:
    short = dataclasses.replace(CLAIM, until=int(NOW + 5))
    ending = after_look(short, "kvmagent", IDLE, POLICY, NOW)
    assert ending is not None
    assert ending.until == short.until


def test_busy_again_in_the_tail_is_a_new_stretch() -> None:
    ending = dataclasses.replace(CLAIM, ending=True)
    again = after_look(ending, "kvmagent", BUSY, POLICY, NOW)
    assert again is not None
    assert (again.since, again.ending) == (NOW, False)


@pytest.mark.parametrize(
    "facts",
    [Unknown("exporter of node-1: refused"), dataclasses.replace(BUSY, busy=Unknown("no sample"))],
)
def test_unknown_mutes_nothing_renews_nothing_and_ends_nothing(
    facts: AgentFacts | Unknown,
) -> None:
    assert after_look(None, "kvmagent", facts, POLICY, NOW) is None
    assert after_look(CLAIM, "kvmagent", facts, POLICY, NOW) == CLAIM
    over = after_look(CLAIM, "kvmagent", facts, POLICY, CLAIM.until + 1)
    assert over == CLAIM, "it remembers since when, though it mutes nothing"
    ending = dataclasses.replace(CLAIM, ending=True)
    assert after_look(ending, "kvmagent", facts, POLICY, CLAIM.until + 1) is None


def test_a_missed_scrape_past_max_hold_does_not_begin_a_new_stretch() -> None:
    since = NOW - POLICY.max_hold - 600
    over = Claim("busy:kvmagent", since, int(NOW - 600), "kvmagent is busy")
    kept = after_look(over, "kvmagent", Unknown("refused"), POLICY, NOW)
    again = after_look(kept, "kvmagent", BUSY, POLICY, NOW + 15)
    assert again is not None
    assert not again.in_force(NOW + 15)


def test_a_new_life_begins_a_new_stretch() -> None:
    over = dataclasses.replace(CLAIM, since=NOW - 86_400, until=int(NOW - 70_000))
    restarted = dataclasses.replace(BUSY, start_time=NOW - 60)
    again = after_look(over, "kvmagent", restarted, POLICY, NOW)
    assert again is not None
    assert (again.since, again.until) == (NOW, NOW + 300)


def test_a_clock_that_was_set_back_makes_no_stretch_longer_than_max_hold() -> None:
    ahead = dataclasses.replace(CLAIM, since=NOW + 86_400, until=int(NOW + 86_700))
    again = after_look(ahead, "kvmagent", BUSY, POLICY, NOW)
    assert again is not None
    assert again.since == NOW


RESTARTING = Claim("restart:1", NOW - 100, int(NOW + 200), "kvmagent is being restarted")


def test_a_restart_is_not_muted_beyond_max_hold_either() -> None:
    claim = dataclasses.replace(RESTARTING, since=NOW - POLICY.max_hold + 10, until=int(NOW))
    hour_ago = after_restart_look(claim, POLICY, NOW - 3600, goes_on=True)
    assert hour_ago is not None
    assert hour_ago.until == NOW - 3600 + 300
    renewed = after_restart_look(claim, POLICY, NOW, goes_on=True)
    assert renewed is not None
    assert renewed.until == NOW + 10


def test_a_restart_that_is_over_leaves_its_tail_and_nothing_else() -> None:
    tail = with_tail(RESTARTING, 30, NOW, "kvmagent was restarted")
    assert tail == Claim("restart:1", NOW - 100, int(NOW + 30), "kvmagent was restarted", True)
    assert with_tail(tail, 30, NOW + 10, "again") == tail, "an end that is told twice"
    for goes_on in (True, False):
        assert after_restart_look(tail, POLICY, NOW + 30, goes_on=goes_on) == tail
        assert after_restart_look(tail, POLICY, NOW + 31, goes_on=goes_on) is None
    assert after_restart_look(RESTARTING, POLICY, NOW, goes_on=False) is None


def test_what_was_forgotten_is_not_claimed_again_by_a_look_or_an_end() -> None:
    assert after_restart_look(None, POLICY, NOW, goes_on=True) is None
    assert with_tail(None, 30, NOW, "kvmagent was restarted") is None


def test_a_persons_word_about_a_restart_holds_for_its_tail() -> None:
    ended = ended_by_hand([RESTARTING], POLICY, NOW)
    tail = with_tail(RESTARTING, 30, NOW + 5, "kvmagent was restarted")
    assert tail is not None
    assert mute_in_force([tail, ended], NOW + 6) is None


def test_what_a_person_ended_is_not_muted_until_a_new_stretch_begins() -> None:
    restart = Claim("restart:1", NOW - 5, int(NOW + 300), "kvmagent is being restarted")
    ended = ended_by_hand([CLAIM, restart], POLICY, NOW)
    assert ended.claimant == ENDED_BY_HAND
    assert mute_in_force([CLAIM, restart, ended], NOW) is None
    renewed = after_look(CLAIM, "kvmagent", BUSY, POLICY, NOW + 15)
    assert renewed is not None
    assert mute_in_force([renewed, ended], NOW + 15) is None, "busy all the time"
    again = dataclasses.replace(CLAIM, since=NOW + 60, until=int(NOW + 360))
    assert mute_in_force([again, ended], NOW + 60) == again


def test_a_persons_word_outlasts_every_claim_that_it_ended() -> None:
    ended = ended_by_hand([CLAIM], POLICY, NOW)
    almost_over = NOW + POLICY.max_hold - 1
    renewed = after_look(CLAIM, "kvmagent", BUSY, POLICY, almost_over)
    assert renewed is not None
    assert mute_in_force([renewed, ended], almost_over) is None
    assert not renewed.in_force(ended.until + 1)


def test_a_persons_word_also_ends_a_claim_of_a_replica_whose_clock_is_ahead() -> None:
    ahead = dataclasses.replace(CLAIM, since=NOW + 2)
    ended = ended_by_hand([ahead], POLICY, NOW)
    assert mute_in_force([ahead, ended], NOW) is None


def test_an_idle_agent_without_a_claim_gets_none() -> None:
    assert after_look(None, "kvmagent", IDLE, POLICY, NOW) is None


def test_the_claim_that_lasts_longest_is_the_hosts_mute() -> None:
    other = Claim("restart:1", NOW, int(NOW + 900), "kvmagent is being restarted")
    over = Claim("busy:x", NOW - 900, int(NOW - 2), "x is busy")
    assert mute_in_force([over, CLAIM, other], NOW) == other
    assert mute_in_force([over], NOW) is None


def test_finding_1_the_claims_are_read_once_for_a_decision() -> None:
    """Found: the deadline was read twice from a cache that can empty in between."""
    read_once = iter([CLAIM])
    assert mute_in_force(read_once, NOW) == CLAIM


@pytest.mark.parametrize(
    ("held", "plan"),
    [
        ([], SilencePlan(True, None, CLAIM.until + 1.0, ())),
        ([("a", 1.0)], SilencePlan(False, "a", CLAIM.until + 1.0, ())),
        ([("a", 60.0)], SilencePlan(True, "a", CLAIM.until + 1.0, ())),
        ([("b", 0.0), ("a", 1.0)], SilencePlan(False, "a", CLAIM.until + 1.0, ("b",))),
    ],
    ids=["none yet", "as it should be", "renewed in place", "one too many"],
)
def test_a_mute_is_exactly_one_silence_that_ends_just_after_its_last_second(
    held: list[tuple[str, float]], plan: SilencePlan
) -> None:
    silences = [HeldSilence(name, CLAIM.until + after) for name, after in held]
    assert plan_silence(CLAIM, silences) == plan


def test_without_a_mute_every_silence_of_ours_is_expired() -> None:
    silences = [HeldSilence("a", NOW + 60), HeldSilence("b", NOW + 5)]
    assert plan_silence(None, silences).expire == ("a", "b")
    assert not plan_silence(None, silences).put


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"interval": Duration(200)}, "base must be at least twice interval"),
        ({"longest": Duration(10)}, "longest must be at least base"),
        ({"matchers": ()}, "there must be a matcher on alertname"),
    ],
)
def test_a_mute_that_makes_no_sense_is_refused(setting: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Mute(**setting)  # type: ignore[arg-type]
