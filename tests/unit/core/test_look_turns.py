"""Hosts that hang leave their turn to those that answer, and are asked again all the same."""

from __future__ import annotations

import itertools

import pytest

from memleash_responder.core.exporter_turns import Turn, after_ask, next_in_line
from memleash_responder.core.policy import Mute
from memleash_toolkit.values import Duration

POLICY = Mute()
UPTIME = 5000.0


def silent_again(turn: Turn, policy: Mute = POLICY) -> Turn:
    return after_ask(turn, policy, answered=False, is_slow=True, patiently=True, uptime=UPTIME)


@pytest.mark.parametrize("turn", [Turn(), Turn(0.0, 5, is_slow=True)], ids=["before", "it hung"])
@pytest.mark.parametrize(
    ("answered", "is_slow"),
    [(True, False), (True, True), (False, False)],
    ids=["promptly", "in time", "refused at once"],
)
def test_what_costs_no_time_is_due_at_the_next_look(
    turn: Turn, answered: bool, is_slow: bool
) -> None:
    after = after_ask(
        turn, POLICY, answered=answered, is_slow=is_slow, patiently=True, uptime=UPTIME
    )
    assert after == Turn(UPTIME, 0, is_slow)


def test_a_host_that_hangs_is_asked_after_growing_pauses_up_to_a_quarter_of_base() -> None:
    turns = itertools.accumulate(range(6), lambda turn, _: silent_again(turn), initial=Turn())
    pauses = [turn.due_at - UPTIME for turn in itertools.islice(turns, 1, None)]
    assert pauses == [15, 30, 60, 75, 75, 75]


def test_a_host_hangs_once_it_was_asked_with_patience() -> None:
    def asked(turn: Turn, *, patiently: bool) -> Turn:
        return after_ask(
            turn, POLICY, answered=False, is_slow=True, patiently=patiently, uptime=UPTIME
        )

    late = asked(asked(Turn(), patiently=False), patiently=False)
    assert not late.hangs, "it may be slow"
    assert asked(late, patiently=True).hangs


def test_a_pause_is_never_shorter_than_the_interval() -> None:
    short = Mute(base=Duration(30), interval=Duration(15))
    assert silent_again(Turn(), short).due_at == UPTIME + 15


def test_one_that_was_silent_for_years_is_asked_on() -> None:
    assert silent_again(Turn(0.0, 10**9, is_slow=True)).due_at == UPTIME + 75


def test_slow_hosts_go_before_silent_ones_and_the_first_before_the_next() -> None:
    turns = {
        "hung for long": Turn(0.0, 7, is_slow=True),
        "hangs since now": Turn(0.0, 1, is_slow=True),
        "slow": Turn(0.0, 0, is_slow=True),
        "slow, too": Turn(0.0, 0, is_slow=True),
    }
    order, waiting = list[str](), list(turns)
    while waiting:
        order.append(next_in_line(waiting, turns))
        waiting.remove(order[-1])
    assert order == ["slow", "slow, too", "hangs since now", "hung for long"]
    assert next_in_line(["hangs since now", "not asked yet"], turns) == "not asked yet"


def test_one_that_waits_in_line_is_not_due_as_well() -> None:
    assert Turn(UPTIME, 3, is_slow=True).in_line() == Turn(float("inf"), 3, is_slow=True)


@pytest.mark.parametrize("silent", [0, 1, 5])
def test_one_of_which_an_alert_tells_goes_ahead_of_those_that_hang(silent: int) -> None:
    ahead = Turn(UPTIME, silent, is_slow=True).in_line(ahead=True)
    assert ahead == Turn(float("inf"), min(silent, 1), is_slow=True)
