"""The guards, row by row: what passes, what refuses, with which word, and what unknown means."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from memleash_responder.core.denials import Denial
from memleash_responder.core.facts import AgentFacts, ControllerTasks, Task, Unknown
from memleash_responder.core.guards import (
    GUARDS,
    Guard,
    Wish,
    gone_past,
    is_read,
    refusal_at,
    refusals,
)
from memleash_responder.core.host_states import ControllerState, HostFacts, HostState
from memleash_responder.core.maintenance import Maintenance
from memleash_responder.core.outcomes import WAITED_FOR, Outcome, Refusal
from memleash_responder.core.pauses import Pause
from memleash_responder.core.policy import GIB, Fleet, Guards, Mode, RestartPolicy
from memleash_responder.core.restart_windows import parse_window
from memleash_responder.core.restarts import APPROVED, DENIED, Restart
from memleash_responder.core.situation import NOT_ASKED, Situation, tasks
from memleash_responder.core.steps import Step

NOW = 1_800_000_000.0
LIFE = NOW - 86_400
ALERTED = NOW - 60
LIMIT = 10 * GIB
SILENT = Unknown("the exporter gives no sample")

POLICY = RestartPolicy(Mode.ENFORCE, Guards(), Fleet())
AGENT = AgentFacts(
    up=True,
    start_time=LIFE,
    resident_bytes=LIMIT + 1,
    limited_bytes=LIMIT + 1,
    busy=False,
    ready=True,
)
RESTART = Restart("r-1", "node-1", "kvmagent", ALERTED, alert_started_at=ALERTED)
FREE = (ControllerTasks("mn-1", ()), ControllerTasks("mn-2", ()))
DENIAL = Denial("ann", NOW - 60, NOW + 1, None)
PAUSE = Pause("rack-7", "ann", "the rack moves", NOW - 60, None)
GOOD = Situation(
    restart=RESTART,
    agent=AGENT,
    hard_limit_bytes=LIMIT,
    pauses=(),
    denial=None,
    quarantined=False,
    host=HostFacts(
        HostState.CONNECTED,
        changed_at=None,
        problem="",
        labelled=False,
        maintenance=None,
        controllers=(),
        pings_fail=False,
        pings_fail_since=None,
    ),
    agent_restart_ages=(),
    fleet_restart_ages=(),
    storm=None,
    alerts_firing=(),
    admitted_life=None,
    tasks=FREE,
)
"""Every guard passes."""


def situation(
    agent: dict[str, Any] | None = None, restart: dict[str, Any] | None = None, **changes: Any
) -> Situation:
    """Return the good situation with some of its facts changed."""
    if agent:
        changes["agent"] = dataclasses.replace(AGENT, **agent)
    if restart:
        changes["restart"] = dataclasses.replace(RESTART, **restart)
    return dataclasses.replace(GOOD, **changes)


def host(by_restarts: HostState = HostState.CONNECTED, **changes: Any) -> Situation:
    """Return the good situation but for its host."""
    return situation(host=dataclasses.replace(GOOD.host, by_restarts=by_restarts, **changes))


def told(state: HostState | Unknown) -> tuple[ControllerState, ...]:
    return (ControllerState("mn-1", HostState.CONNECTED), ControllerState("mn-2", state))


def policy(mode: Mode = Mode.ENFORCE, *, fleet: Fleet | None = None, **guards: Any) -> Any:
    return RestartPolicy(mode, Guards(**guards), fleet or Fleet())


def verdict(step: Step | None, seen: Situation, by: RestartPolicy = POLICY) -> Outcome | None:
    """Return the first refusal's word at ``step``, or None."""
    found = [no for _, no in refusals(step, seen, by, NOW) if no]
    return found[0].outcome if found else None


AT_NIGHT = dataclasses.replace(POLICY, windows=(parse_window("22:00-05:00 UTC"),))
"""It is 08:00 UTC now."""
LOOKS = (Step.ADMIT, Step.VERIFY, Step.RESTART)
ADMIT, VERIFY = (Step.ADMIT,), (Step.VERIFY,)
BEFORE_SSH, SENDS = (Step.VERIFY, Step.RESTART), (Step.ADMIT, Step.RESTART)
UNREACHABLE = (ControllerTasks("mn-1", ()), ControllerTasks("mn-2", Unknown("no answer")))
TOO_YOUNG = situation(agent={"start_time": NOW - 299}, restart={"alert_started_at": NOW})
JUST_OLD_ENOUGH = situation(agent={"start_time": NOW - 300}, restart={"alert_started_at": NOW})
BLIND = dataclasses.replace(GOOD, agent=Unknown("exporter of node-1: refused"))
AT_WORK = (ControllerTasks("mn-1", ()), ControllerTasks("mn-2", (Task("7", "migrate"),)))

REFUSES: list[tuple[str, Situation, RestartPolicy, Outcome, tuple[Step, ...]]] = [
    # what is wrong, the situation, the policy, its word, the steps that look at it
    ("resolved", situation(restart={"resolved": True}), POLICY, Outcome.RESOLVED, LOOKS),
    ("denied", situation(restart={"approval": DENIED}), POLICY, Outcome.DENIED, LOOKS),
    ("denied for a while", situation(denial=DENIAL), POLICY, Outcome.DENIED, LOOKS),
    (
        "planned for later",
        situation(restart={"not_before": NOW + 1}),
        POLICY,
        Outcome.OUTSIDE_WINDOW,
        LOOKS,
    ),
    ("paused", situation(pauses=(PAUSE,)), POLICY, Outcome.PAUSED, LOOKS),
    ("mode observe", GOOD, policy(Mode.OBSERVE), Outcome.OBSERVE_MODE, LOOKS),
    ("mode approve", GOOD, policy(Mode.APPROVE), Outcome.AWAITING_APPROVAL, ADMIT),
    ("quarantined", situation(quarantined=True), POLICY, Outcome.QUARANTINED, ADMIT),
    (
        "connecting",
        host(HostState.CONNECTING),
        POLICY,
        Outcome.HOST_NOT_CONNECTED,
        ADMIT,
    ),
    (
        "disconnected",
        host(HostState.DISCONNECTED),
        POLICY,
        Outcome.HOST_NOT_CONNECTED,
        ADMIT,
    ),
    (
        "a controller calls it disconnected",
        host(controllers=told(HostState.DISCONNECTED)),
        POLICY,
        Outcome.HOST_NOT_CONNECTED,
        ADMIT,
    ),
    ("its pings fail", host(pings_fail=True), POLICY, Outcome.HOST_NOT_CONNECTED, ADMIT),
    (
        "nobody knows whether its pings fail",
        host(pings_fail=Unknown("Prometheus: refused")),
        POLICY,
        Outcome.FACTS_UNAVAILABLE,
        ADMIT,
    ),
    ("the label says maintenance", host(labelled=True), POLICY, Outcome.MAINTENANCE, LOOKS),
    (
        "a person says maintenance",
        host(maintenance=Maintenance("ann", "new disks", NOW, None)),
        POLICY,
        Outcome.MAINTENANCE,
        LOOKS,
    ),
    (
        "a controller says maintenance of a host that a restart holds",
        host(HostState.CONNECTING, controllers=told(HostState.MAINTENANCE)),
        POLICY,
        Outcome.MAINTENANCE,
        LOOKS,
    ),
    (
        "a controller cannot say what it calls the host",
        host(controllers=told(Unknown("no answer"))),
        POLICY,
        Outcome.CONTROLLER_UNREACHABLE,
        LOOKS,
    ),
    ("a storm", situation(storm="3 of 4 hosts"), POLICY, Outcome.STORM, LOOKS),
    ("outside its windows", GOOD, AT_NIGHT, Outcome.OUTSIDE_WINDOW, LOOKS),
    (
        "an alert fires",
        situation(alerts_firing=("StorageDown x2",)),
        POLICY,
        Outcome.ALERTS_FIRING,
        LOOKS,
    ),
    (
        "what fires unknown",
        situation(alerts_firing=Unknown("Prometheus: refused")),
        POLICY,
        Outcome.FACTS_UNAVAILABLE,
        LOOKS,
    ),
    ("cooldown", situation(agent_restart_ages=(1799.0,)), POLICY, Outcome.COOLDOWN, SENDS),
    (
        "the agent's budget",
        situation(agent_restart_ages=(2000.0, 9000.0, 21_599.0)),
        POLICY,
        Outcome.RESTART_BUDGET,
        SENDS,
    ),
    (
        "the fleet's rate",
        situation(fleet_restart_ages=(3599.0,) * 20),
        POLICY,
        Outcome.RESTART_BUDGET,
        SENDS,
    ),
    ("exporter gone", BLIND, POLICY, Outcome.FACTS_UNAVAILABLE, LOOKS),
    (
        "limit unknown",
        situation(hard_limit_bytes=Unknown("Prometheus: refused")),
        POLICY,
        Outcome.FACTS_UNAVAILABLE,
        LOOKS,
    ),
    ("not running", situation(agent={"up": False}), POLICY, Outcome.FACTS_UNAVAILABLE, LOOKS),
    ("up unknown", situation(agent={"up": SILENT}), POLICY, Outcome.FACTS_UNAVAILABLE, LOOKS),
    (
        "life unknown",
        situation(agent={"start_time": SILENT}),
        POLICY,
        Outcome.FACTS_UNAVAILABLE,
        LOOKS,
    ),
    (
        "RSS unknown",
        situation(agent={"resident_bytes": SILENT}),
        POLICY,
        Outcome.FACTS_UNAVAILABLE,
        LOOKS,
    ),
    (
        "limited memory unknown",
        situation(agent={"limited_bytes": SILENT}),
        POLICY,
        Outcome.FACTS_UNAVAILABLE,
        LOOKS,
    ),
    (
        "readiness not published",
        situation(agent={"ready": SILENT}),
        POLICY,
        Outcome.FACTS_UNAVAILABLE,
        ADMIT,
    ),
    (
        "busy unknown",
        situation(agent={"busy": SILENT}),
        POLICY,
        Outcome.FACTS_UNAVAILABLE,
        LOOKS,
    ),
    (
        "the alert is older than the process",
        situation(restart={"alert_started_at": LIFE - 0.1}),
        POLICY,
        Outcome.ALREADY_RESTARTED,
        LOOKS,
    ),
    (
        "another life than was admitted",
        situation(admitted_life=LIFE - 1.0),
        POLICY,
        Outcome.ALREADY_RESTARTED,
        LOOKS,
    ),
    ("too young", TOO_YOUNG, POLICY, Outcome.STARTUP_GRACE, ADMIT),
    (
        "limited memory equal to the limit, RSS over it",
        situation(agent={"limited_bytes": LIMIT}),
        POLICY,
        Outcome.BELOW_HARD_LIMIT,
        LOOKS,
    ),
    ("limit 0 is off", situation(hard_limit_bytes=0), POLICY, Outcome.BELOW_HARD_LIMIT, LOOKS),
    ("busy", situation(agent={"busy": True}), POLICY, Outcome.BUSY, LOOKS),
    (
        "a controller in error",
        situation(tasks=UNREACHABLE),
        POLICY,
        Outcome.CONTROLLER_UNREACHABLE,
        VERIFY,
    ),
    ("a running task", situation(tasks=AT_WORK), POLICY, Outcome.TASKS_RUNNING, VERIFY),
]


@pytest.mark.parametrize("step", LOOKS)
def test_every_guard_passes_when_all_is_well(step: Step) -> None:
    assert verdict(step, GOOD) is None


@pytest.mark.parametrize(
    ("seen", "by", "word", "steps"), [pytest.param(*row[1:], id=row[0]) for row in REFUSES]
)
def test_each_thing_that_is_wrong_refuses_with_its_word_at_the_steps_that_look(
    seen: Situation, by: RestartPolicy, word: Outcome, steps: tuple[Step, ...]
) -> None:
    for step in LOOKS:
        assert verdict(step, seen, by) == (word if step in steps else None), step


def test_every_guard_of_the_table_has_a_row_here_that_it_alone_refuses() -> None:
    refused_by = {
        guard.name
        for _, seen, by, word, _ in REFUSES
        for guard, no in refusals(None, seen, by, NOW)
        if no is not None and no.outcome is word
    }
    assert refused_by == {guard.name for guard in GUARDS}


PASSES: list[tuple[str, Situation, RestartPolicy]] = [
    ("one byte over the limit", situation(agent={"limited_bytes": LIMIT + 1}), POLICY),
    ("a tree over the limit, RSS below it", situation(agent={"resident_bytes": 1}), POLICY),
    ("cooldown is over to the second", situation(agent_restart_ages=(1800.0,)), POLICY),
    ("restarts out of the window", situation(agent_restart_ages=(21_600.0,) * 9), POLICY),
    ("the fleet's restarts an hour ago", situation(fleet_restart_ages=(3600.0,) * 99), POLICY),
    ("grace is over to the second", JUST_OLD_ENOUGH, POLICY),
    ("a person asked, no alert", situation(restart={"alert_started_at": None}), POLICY),
    ("approved", situation(restart={"approval": APPROVED}), policy(Mode.APPROVE)),
    ("the admitted life, half a tick off", situation(admitted_life=LIFE + 0.01), POLICY),
    ("no controllers at all", situation(tasks=()), POLICY),
    ("its controllers call it connected", host(controllers=told(HostState.CONNECTED)), POLICY),
]


@pytest.mark.parametrize(("seen", "by"), [pytest.param(*row[1:], id=row[0]) for row in PASSES])
def test_what_is_just_on_the_right_side_passes_everywhere(
    seen: Situation, by: RestartPolicy
) -> None:
    assert verdict(None, seen, by) is None


def test_a_start_time_in_the_future_counts_as_just_started() -> None:
    """The host's clock may be ahead of ours: a negative age must not pass for an old process."""
    ahead = situation(agent={"start_time": NOW + 900}, restart={"alert_started_at": NOW + 901})
    assert verdict(Step.ADMIT, ahead) is Outcome.STARTUP_GRACE


@pytest.mark.parametrize(
    "seen",
    [
        situation(agent={"busy": True}, restart={"forced": True}),
        situation(agent={"busy": SILENT}, restart={"forced": True}),
        situation(tasks=AT_WORK, restart={"forced": True}),
        situation(tasks=UNREACHABLE, restart={"forced": True}),
        dataclasses.replace(
            host(controllers=told(Unknown("no answer"))),
            restart=dataclasses.replace(RESTART, forced=True),
        ),
    ],
    ids=["busy", "busy unknown", "tasks", "controller unreachable", "state unknown"],
)
def test_force_skips_the_busy_and_the_task_checks(seen: Situation) -> None:
    assert verdict(None, seen) is None


@pytest.mark.parametrize(
    ("seen", "by", "word"), [pytest.param(*row[1:4], id=row[0]) for row in REFUSES]
)
def test_force_goes_past_just_the_guards_that_the_table_says_and_names_them(
    seen: Situation, by: RestartPolicy, word: Outcome
) -> None:
    refusing = next(guard for guard, no in refusals(None, seen, by, NOW) if no)
    forced = dataclasses.replace(seen, restart=dataclasses.replace(seen.restart, forced=True))
    is_passed = refusing.gone_past_by is Wish.FORCE
    assert verdict(None, forced, by) is (None if is_passed else word)
    past = {no.outcome for step in refusing.steps for no in gone_past(step, forced, by, NOW)}
    assert word in past or not is_passed


@pytest.mark.parametrize(
    ("seen", "by", "word"), [pytest.param(*row[1:4], id=row[0]) for row in REFUSES]
)
def test_a_purpose_goes_past_the_limit_alone_and_that_is_recorded(
    seen: Situation, by: RestartPolicy, word: Outcome
) -> None:
    wanted = dataclasses.replace(seen, restart=dataclasses.replace(seen.restart, purpose="upgrade"))
    is_passed = word is Outcome.BELOW_HARD_LIMIT
    assert verdict(None, wanted, by) is (None if is_passed else word)
    past = {no.outcome for no in gone_past(Step.VERIFY, wanted, by, NOW)}
    assert past <= {word, Outcome.FACTS_UNAVAILABLE}, "what cannot be seen refuses all the same"
    assert word in past or not is_passed


def test_a_person_named_in_a_refusal_sees_every_task_and_whose_it_is() -> None:
    no = refusal_at(Step.VERIFY, situation(tasks=AT_WORK), POLICY, NOW)
    assert no is not None
    assert no.reason == "running tasks: mn-2: migrate"


def test_a_closed_window_is_named_with_when_the_next_opens() -> None:
    no = refusal_at(Step.ADMIT, GOOD, AT_NIGHT, NOW)
    assert no is not None
    assert no.reason == (
        "outside of its windows (22:00-05:00 UTC); the next opens at 2027-01-15T22:00:00Z"
    )
    assert refusal_at(Step.RESTART, GOOD, AT_NIGHT, NOW + 14 * 3600) is None


def test_a_controller_in_error_is_named_with_its_error() -> None:
    no = refusal_at(Step.VERIFY, situation(tasks=UNREACHABLE), POLICY, NOW)
    assert no is not None
    assert no.reason == "mn-2: no answer"


def test_cheap_and_local_guards_come_before_those_that_ask_around() -> None:
    names = [guard.name for guard in GUARDS]
    local = ["resolved", "denied", "paused", "observe_mode", "quarantined"]
    assert names[: len(local)] == local
    assert names[-2:] == ["controller_unreachable", "tasks_running"]


def test_the_last_look_before_ssh_is_at_life_memory_and_busy() -> None:
    names = {guard.name for guard in GUARDS if Step.RESTART in guard.steps}
    assert {"already_restarted", "below_hard_limit", "busy", "paused", "resolved"} <= names


def test_a_person_is_asked_only_about_what_would_otherwise_be_restarted() -> None:
    admit = [guard.name for guard in GUARDS if Step.ADMIT in guard.steps]
    assert admit[-1] == "awaiting_approval"


def test_finding_3_nothing_from_a_controller_is_no_task_but_an_error_refuses() -> None:
    """Found: a node with no entry for the host crashed the check."""
    assert verdict(Step.VERIFY, situation(tasks=(ControllerTasks("mn-1", ()),))) is None
    error = situation(tasks=(ControllerTasks("mn-1", Unknown("HTTP 500")),))
    assert verdict(Step.VERIFY, error) is Outcome.CONTROLLER_UNREACHABLE


def test_a_reason_stays_short_whatever_was_told() -> None:
    swamped = situation(
        tasks=(
            ControllerTasks("mn-1", tuple(Task(str(n), f"{n} " * 500) for n in range(100)), 99_900),
            ControllerTasks("mn-2", (Task("7", "migrate"),)),
        )
    )
    told = refusal_at(Step.VERIFY, swamped, POLICY, NOW)
    assert told is not None
    assert told.reason.startswith("running tasks: mn-1: 0 0 0 ")
    assert told.reason.endswith(" and 99,993 more")
    assert len(told.reason) < 1000
    assert len(Refusal(Outcome.BUSY, "x" * 10**6).reason) < 1000


def test_controllers_that_were_not_asked_refuse_wherever_tasks_count() -> None:
    blind = situation(tasks=NOT_ASKED)
    assert verdict(Step.VERIFY, blind) is Outcome.CONTROLLER_UNREACHABLE
    assert verdict(None, blind) is Outcome.CONTROLLER_UNREACHABLE
    assert verdict(Step.VERIFY, situation(tasks=NOT_ASKED, restart={"forced": True})) is None


def test_a_controller_that_is_silent_keeps_no_other_from_having_the_last_word() -> None:
    silent_and = (ControllerState("mn-1", SILENT), *told(HostState.DISCONNECTED))
    assert verdict(Step.ADMIT, host(controllers=silent_and)) is Outcome.HOST_NOT_CONNECTED
    silent_and = (ControllerState("mn-1", SILENT), *told(HostState.MAINTENANCE))
    assert verdict(Step.ADMIT, host(controllers=silent_and)) is Outcome.MAINTENANCE


@pytest.mark.parametrize("step", [*Step, None])
def test_controllers_are_asked_at_the_steps_whose_guards_look_at_tasks(step: Step | None) -> None:
    looks = verdict(step, situation(tasks=NOT_ASKED)) is not None
    assert is_read(tasks, step) is looks


def test_what_is_unknown_is_neither_true_nor_false() -> None:
    """A check that forgets it must not take it for busy, idle, up or down."""
    with pytest.raises(TypeError, match="neither true nor false: no answer"):
        bool(Unknown("no answer"))


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_each_guard_by_itself_refuses_what_it_cannot_see(guard: Guard) -> None:
    """Wherever a row of the table is moved to, it does not rest on another one's look."""
    blind = situation(
        agent={"up": SILENT, "start_time": SILENT, "busy": SILENT, "ready": SILENT},
        tasks=NOT_ASKED,
        hard_limit_bytes=SILENT,
        host=dataclasses.replace(GOOD.host, controllers=told(SILENT), pings_fail=SILENT),
        alerts_firing=SILENT,
    )
    sees = {"resolved", "denied", "paused", "observe_mode", "quarantined"}
    sees |= {"storm", "outside_window", "cooldown", "restart_budget", "awaiting_approval"}
    sees |= {"maintenance", "host_not_connected"}  # what is known; see the next test for the rest
    refusal = guard.check(blind, POLICY, NOW)
    assert (refusal is None) == (guard.name in sees)
    if refusal is not None:
        assert refusal.outcome in (Outcome.FACTS_UNAVAILABLE, Outcome.CONTROLLER_UNREACHABLE)


def test_wherever_a_hosts_state_counts_nobody_who_may_object_is_silent() -> None:
    steps = {guard.name: guard.steps for guard in GUARDS}
    assert steps["state_unknown"] >= steps["maintenance"] | steps["host_not_connected"]
    assert steps["pings_unknown"] >= steps["host_not_connected"]


@pytest.mark.parametrize(
    ("denial", "agent", "holds"),
    [
        (Denial("ann", NOW - 60, NOW + 1, None), {}, True),
        (Denial("ann", NOW - 60, NOW, None), {}, False),
        (Denial("ann", NOW - 60, NOW, LIFE), {}, False),
        (Denial("ann", NOW - 60, None, LIFE), {}, True),
        (Denial("ann", NOW - 60, None, LIFE), {"start_time": LIFE - 7}, False),
        (Denial("ann", NOW - 60, None, LIFE), {"start_time": SILENT}, True),
        (Denial("ann", NOW - 60, None, None), {}, True),
    ],
    ids=[
        "until later",
        "until now",
        "until now, of this life",
        "this life",
        "another life",
        "life unknown now",
        "life unknown then",
    ],
)
def test_a_denial_holds_until_its_time_or_while_the_process_lives(
    denial: Denial, agent: dict[str, Any], holds: bool
) -> None:
    refused = [
        no.outcome for _, no in refusals(None, situation(agent, denial=denial), POLICY, NOW) if no
    ]
    assert (Outcome.DENIED in refused) is holds


def test_a_plan_waits_for_its_time_and_no_longer() -> None:
    assert verdict(None, situation(restart={"not_before": NOW})) is None
    planned = situation(restart={"not_before": NOW + 3600})
    (refusal,) = [no for _, no in refusals(Step.ADMIT, planned, POLICY, NOW) if no]
    assert refusal.reason.startswith("it is planned for ")
    assert refusal.outcome in WAITED_FOR
