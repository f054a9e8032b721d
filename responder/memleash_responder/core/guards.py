"""The guards of a restart: one ordered table, read by the workflow and by ``explain`` alike.

A guard is a pure function of (situation, policy, now) that passes or refuses with one word and
a reason for people. The order is cheap and local first; each guard says at which steps it looks.
What the situation does not know refuses: unknown means no.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from memleash_responder.core.facts import AgentFacts, ControllerTasks, Unknown, same_life
from memleash_responder.core.outcomes import HostState, Mode, Outcome, Refusal, Step
from memleash_responder.core.policy import RestartPolicy
from memleash_responder.core.restarts import Restart
from memleash_responder.core.untrusted import listed
from memleash_toolkit.units import format_duration, format_size


@dataclasses.dataclass(frozen=True, slots=True)
class Situation:
    """Every fact that the guards rest on, read for one decision. None has a default."""

    restart: Restart
    agent: AgentFacts | Unknown
    hard_limit_bytes: int | Unknown
    """The effective limit; 0 is off."""
    paused: bool
    quarantined: bool
    host_state: HostState
    agent_restart_ages: tuple[float, ...]
    """How long ago, in seconds, this agent on this host was restarted, each time."""
    fleet_restart_ages: tuple[float, ...]
    """How long ago, in seconds, anything was restarted, each time."""
    storm: str | None
    """Why nothing is restarted for now: a storm that nobody ended yet."""
    admitted_life: float | None
    """The process start time this restart was admitted for; None before it was."""
    tasks: tuple[ControllerTasks, ...] | Unknown
    """What every controller said; NOT_ASKED where no guard looks at it."""


NOT_ASKED = Unknown("the controllers were not asked")


Check = Callable[[Situation, RestartPolicy, float], Refusal | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Guard:
    """One row of the table."""

    name: str
    steps: frozenset[Step]
    check: Check
    forceable: bool = False
    """Whether ``force`` skips it."""
    asks_controllers: bool = False
    """Whether it looks at tasks, for which every controller has to be asked."""

    def looks_at(self, step: Step | None) -> bool:
        """Whether it looks at ``step``; at None, every guard does."""
        return step is None or step in self.steps

    def skipped_by(self, restart: Restart) -> bool:
        """Whether ``restart`` goes past it."""
        return self.forceable and restart.forced


def asks_controllers(step: Step | None, restart: Restart) -> bool:
    """Whether a guard that looks at ``step`` wants to know what the controllers say."""
    return any(
        guard.asks_controllers and guard.looks_at(step) and not guard.skipped_by(restart)
        for guard in GUARDS
    )


def refusals(
    step: Step | None, situation: Situation, policy: RestartPolicy, now: float
) -> Iterator[tuple[Guard, Refusal | None]]:
    """Yield each guard that looks at ``step`` (None: every guard) with its verdict, in order.

    ``now`` is unix time. None as the verdict means that the guard passes.
    """
    for guard in GUARDS:
        if guard.looks_at(step):
            skipped = guard.skipped_by(situation.restart)
            yield guard, None if skipped else guard.check(situation, policy, now)


def first_refusal(
    step: Step, situation: Situation, policy: RestartPolicy, now: float
) -> Refusal | None:
    """Return the first refusal of the guards that look at ``step``, or None."""
    return next((no for _, no in refusals(step, situation, policy, now) if no), None)


def _resolved(situation: Situation, _policy: RestartPolicy, _now: float) -> Refusal | None:
    if situation.restart.resolved:
        return Refusal(Outcome.RESOLVED, "the alert resolved before anything was done")
    return None


def _denied(situation: Situation, _policy: RestartPolicy, _now: float) -> Refusal | None:
    if situation.restart.denied:
        return Refusal(Outcome.DENIED, "a person denied this restart")
    return None


def _paused(situation: Situation, _policy: RestartPolicy, _now: float) -> Refusal | None:
    if situation.paused:
        return Refusal(Outcome.PAUSED, "the responder is paused; resume it to allow restarts")
    return None


def _observe_mode(_situation: Situation, policy: RestartPolicy, _now: float) -> Refusal | None:
    if policy.mode is Mode.OBSERVE:
        return Refusal(Outcome.OBSERVE_MODE, "the agent's mode is observe: it is only watched")
    return None


def _quarantined(situation: Situation, _policy: RestartPolicy, _now: float) -> Refusal | None:
    if situation.quarantined:
        return Refusal(
            Outcome.QUARANTINED, "an earlier restart did not help; clear the quarantine to go on"
        )
    return None


def _host_not_connected(situation: Situation, _p: RestartPolicy, _now: float) -> Refusal | None:
    if situation.host_state is not HostState.CONNECTED:
        return Refusal(Outcome.HOST_NOT_CONNECTED, f"the host is {situation.host_state}")
    return None


def _storm(situation: Situation, _policy: RestartPolicy, _now: float) -> Refusal | None:
    return Refusal(Outcome.STORM, situation.storm) if situation.storm else None


def _cooldown(situation: Situation, policy: RestartPolicy, _now: float) -> Refusal | None:
    if not situation.agent_restart_ages:
        return None
    age_seconds = min(situation.agent_restart_ages)
    left_seconds = policy.guards.cooldown - age_seconds
    if left_seconds > 0:
        return Refusal(
            Outcome.COOLDOWN,
            f"restarted {format_duration(round(age_seconds))} ago;"
            f" cooldown ends in {format_duration(round(left_seconds))}",
        )
    return None


def _restart_budget(situation: Situation, policy: RestartPolicy, _now: float) -> Refusal | None:
    guards, fleet = policy.guards, policy.fleet
    of_agent = sum(age < guards.per for age in situation.agent_restart_ages)
    if of_agent >= guards.max_restarts:
        return Refusal(
            Outcome.RESTART_BUDGET,
            f"restarted {of_agent} times in {format_duration(guards.per)};"
            f" at most {guards.max_restarts} are allowed",
        )
    of_fleet = sum(age < 3600 for age in situation.fleet_restart_ages)
    if of_fleet >= fleet.max_restarts_per_hour:
        return Refusal(
            Outcome.RESTART_BUDGET,
            f"the fleet had {of_fleet} restarts in 1h;"
            f" at most {fleet.max_restarts_per_hour} are allowed",
        )
    return None


def _facts_unavailable(situation: Situation, _p: RestartPolicy, _now: float) -> Refusal | None:
    def unavailable(reason: str) -> Refusal:
        return Refusal(Outcome.FACTS_UNAVAILABLE, reason)

    agent, limit = situation.agent, situation.hard_limit_bytes
    if isinstance(agent, Unknown):
        return unavailable(agent.why)
    if isinstance(limit, Unknown):
        return unavailable(limit.why)
    if agent.up is not True:
        return unavailable("the exporter does not see the agent running")
    if agent.start_time is None:
        return unavailable("the exporter does not tell when the agent started")
    if agent.resident_bytes is None:
        return unavailable("the exporter does not tell the agent's memory")
    return None


def _unprovable(situation: Situation, _policy: RestartPolicy, _now: float) -> Refusal | None:
    if isinstance(situation.agent, AgentFacts) and situation.agent.ready is None:
        return Refusal(
            Outcome.FACTS_UNAVAILABLE,
            "the exporter publishes no memleash_agent_ready, so that a restart could not be"
            " proven; configure the agent's readiness probe in the exporter",
        )
    return None


def _already_restarted(situation: Situation, _p: RestartPolicy, _now: float) -> Refusal | None:
    agent = situation.agent
    if isinstance(agent, Unknown) or agent.start_time is None:
        return None  # refused by facts_unavailable
    admitted, alerted = situation.admitted_life, situation.restart.alert_started_at
    if admitted is not None and not same_life(agent.start_time, admitted):
        return Refusal(
            Outcome.ALREADY_RESTARTED, "the process was replaced since this request was admitted"
        )
    if admitted is None and alerted is not None and alerted < agent.start_time:
        return Refusal(
            Outcome.ALREADY_RESTARTED, "the process started after the alert began to fire"
        )
    return None


def _startup_grace(situation: Situation, policy: RestartPolicy, now: float) -> Refusal | None:
    agent = situation.agent
    if isinstance(agent, Unknown) or agent.start_time is None:
        return None  # refused by facts_unavailable
    age_seconds = max(0.0, now - agent.start_time)
    if age_seconds < policy.guards.startup_grace:
        return Refusal(
            Outcome.STARTUP_GRACE,
            f"the process is {format_duration(round(age_seconds))} old;"
            f" grace is {format_duration(policy.guards.startup_grace)}",
        )
    return None


def _below_hard_limit(situation: Situation, _p: RestartPolicy, _now: float) -> Refusal | None:
    agent, limit = situation.agent, situation.hard_limit_bytes
    if isinstance(agent, Unknown) or isinstance(limit, Unknown) or agent.resident_bytes is None:
        return None  # refused by facts_unavailable
    if limit == 0:
        return Refusal(Outcome.BELOW_HARD_LIMIT, "the hard limit is 0: off")
    if agent.resident_bytes <= limit:
        return Refusal(
            Outcome.BELOW_HARD_LIMIT,
            f"RSS {format_size(agent.resident_bytes)} is not above the hard limit"
            f" {format_size(limit)}",
        )
    return None


def _awaiting_approval(situation: Situation, policy: RestartPolicy, _now: float) -> Refusal | None:
    if policy.mode is Mode.APPROVE and not situation.restart.approved:
        return Refusal(Outcome.AWAITING_APPROVAL, "the agent's mode is approve: a person decides")
    return None


def _busy(situation: Situation, _policy: RestartPolicy, _now: float) -> Refusal | None:
    if isinstance(situation.agent, Unknown):
        return None  # refused by facts_unavailable
    if situation.agent.busy is None:
        return Refusal(
            Outcome.FACTS_UNAVAILABLE, "the exporter cannot tell whether the agent is busy"
        )
    if situation.agent.busy:
        return Refusal(Outcome.BUSY, "the agent is busy")
    return None


def _controller_unreachable(situation: Situation, _p: RestartPolicy, _n: float) -> Refusal | None:
    if isinstance(situation.tasks, Unknown):
        return Refusal(Outcome.CONTROLLER_UNREACHABLE, situation.tasks.why)
    unknown = [
        f"{one.controller}: {one.running.why}"
        for one in situation.tasks
        if isinstance(one.running, Unknown)
    ]
    if unknown:
        return Refusal(Outcome.CONTROLLER_UNREACHABLE, "; ".join(unknown))
    return None


def _tasks_running(situation: Situation, _policy: RestartPolicy, _now: float) -> Refusal | None:
    if isinstance(situation.tasks, Unknown):
        return None  # refused by controller_unreachable
    running = [
        f"{one.controller}: {task.name or task.id}"
        for one in situation.tasks
        if not isinstance(one.running, Unknown)
        for task in one.running
    ]
    more = sum(one.more for one in situation.tasks)
    if running or more:
        return Refusal(Outcome.TASKS_RUNNING, f"running tasks: {listed(running, more=more)}")
    return None


_OF_TASKS = {"forceable": True, "asks_controllers": True}
_ADMIT = frozenset({Step.ADMIT})
_ADMIT_AND_SEND = frozenset({Step.ADMIT, Step.RESTART})
_VERIFY = frozenset({Step.VERIFY})
_LOOKS = frozenset({Step.VERIFY, Step.RESTART})
_ALWAYS = frozenset({Step.ADMIT, Step.VERIFY, Step.RESTART})

GUARDS: tuple[Guard, ...] = (
    Guard("resolved", _ALWAYS, _resolved),
    Guard("denied", _ALWAYS, _denied),
    Guard("paused", _ALWAYS, _paused),
    Guard("observe_mode", _ALWAYS, _observe_mode),
    Guard("quarantined", _ADMIT, _quarantined),
    Guard("host_not_connected", _ADMIT, _host_not_connected),
    Guard("storm", _ALWAYS, _storm),
    Guard("cooldown", _ADMIT_AND_SEND, _cooldown),
    Guard("restart_budget", _ADMIT_AND_SEND, _restart_budget),
    Guard("facts_unavailable", _ALWAYS, _facts_unavailable),
    Guard("already_restarted", _ALWAYS, _already_restarted),
    Guard("below_hard_limit", _ALWAYS, _below_hard_limit),
    Guard("startup_grace", _ADMIT, _startup_grace),
    Guard("readiness_unknown", _ADMIT, _unprovable),
    Guard("awaiting_approval", _ADMIT, _awaiting_approval),
    Guard("busy", _LOOKS, _busy, forceable=True),
    Guard("controller_unreachable", _VERIFY, _controller_unreachable, **_OF_TASKS),
    Guard("tasks_running", _VERIFY, _tasks_running, **_OF_TASKS),
)
