"""What people are told of: each thing once, however often an alert asks again."""

from __future__ import annotations

import dataclasses

import pytest

from memleash_responder.core.notices import (
    GIVEN_UP_SECONDS,
    LONGEST_RETRY_SECONDS,
    Event,
    notices,
    retry_at,
)
from memleash_responder.core.outcomes import BEGUN, FAILED, RESTART_OUTCOMES, Outcome
from memleash_responder.core.restarts import AWAITING_APPROVAL, Restart

ONE = Restart(
    "r1", "h1", "a1", 100.0, fingerprint="f", alert_started_at=90.0, finished_at=160.0, reason="so"
)


def ended(outcome: Outcome, restart_id: str = "r1") -> Restart:
    return dataclasses.replace(ONE, id=restart_id, outcome=outcome)


@pytest.mark.parametrize("outcome", RESTART_OUTCOMES)
def test_a_restart_that_was_begun_is_told_of_and_a_refusal_that_needs_somebody(
    outcome: Outcome,
) -> None:
    told = [notice.event for notice in notices([ended(outcome)], {}, None)]
    if outcome in BEGUN:
        assert told == [Event.FAILED if outcome in FAILED else Event.RESTARTED]
    elif outcome in ("resolved", "below_hard_limit", "already_restarted", "denied"):
        assert told == [], "nothing is left to do"
    elif outcome in ("quarantined", "storm", "observe_mode"):
        assert told == [], "said otherwise"
    else:
        assert told == [Event.REFUSED]


def test_an_alert_that_asks_again_is_told_of_once_for_each_reason() -> None:
    again = [ended(Outcome.COOLDOWN, f"r{n}") for n in range(3)] + [ended(Outcome.PAUSED, "r9")]
    assert len({notice.key for notice in notices(again, {}, None)}) == 2
    restarts = [ended(Outcome.RESTARTED, f"r{n}") for n in range(3)]
    assert len({notice.key for notice in notices(restarts, {}, None)}) == 3


def test_a_person_s_request_is_told_of_each_time_it_is_refused() -> None:
    asked = [
        dataclasses.replace(ended(Outcome.COOLDOWN, f"r{n}"), fingerprint=None) for n in range(2)
    ]
    assert len({notice.key for notice in notices(asked, {}, None)}) == 2


def test_what_waits_for_a_person_a_quarantine_and_a_storm_are_told_of() -> None:
    waits = dataclasses.replace(ONE, step=AWAITING_APPROVAL, finished_at=None)
    goes_on = dataclasses.replace(ONE, id="r2", step="verify", finished_at=None)
    told = list(notices([waits, goes_on], {("h2", "a2"): (7.0, "in vain")}, ("many", 8.0)))
    assert [(one.event, one.at, one.host, one.reason) for one in told] == [
        (Event.APPROVAL, 100.0, "h1", "so"),
        (Event.QUARANTINED, 7.0, "h2", "in vain"),
        (Event.STORM, 8.0, "", "many"),
    ]
    later = list(notices([waits], {("h2", "a2"): (70.0, "again")}, ("many", 80.0)))
    assert {one.key for one in told} & {one.key for one in later} == {"approval:r1"}


def test_what_failed_is_tried_again_ever_later_and_given_up_after_a_day() -> None:
    waits = [retry_at(0.0, tries, 10.0) for tries in range(1, 12)]
    assert waits[:3] == [40.0, 70.0, 130.0]
    assert waits[-1] == 10.0 + LONGEST_RETRY_SECONDS
    assert retry_at(0.0, 1, GIVEN_UP_SECONDS) is None
