"""What each guard checks: a pure function of the facts that it looks at, the policy and now.

A check that passes returns None. Facts that are unknown never come here (see guards.py).
"""

from __future__ import annotations

from memleash_responder.core.facts import same_life
from memleash_responder.core.host_states import HostState, Standing
from memleash_responder.core.moments import rfc3339
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.pauses import Pause, why_paused
from memleash_responder.core.policy import Mode, RestartPolicy
from memleash_responder.core.restart_windows import is_open, opens_at
from memleash_responder.core.restarts import Restart
from memleash_responder.core.situation import Denied, Life, Memory, Tasks
from memleash_responder.core.untrusted import listed
from memleash_toolkit.units import format_duration, format_size


def passes(_facts: object, _policy: RestartPolicy, _now: float) -> Refusal | None:
    """Pass: all that this guard wants is that the facts are known."""
    return None


def resolved(restart: Restart, _policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse once the alert went away."""
    if restart.resolved:
        return Refusal(Outcome.RESOLVED, "the alert resolved before anything was done")
    return None


def denied(seen: Denied, _policy: RestartPolicy, now: float) -> Refusal | None:
    """Refuse what a person said no to; ``now`` in unix time."""
    if seen.restart.denied:
        return Refusal(Outcome.DENIED, "a person denied this restart")
    if seen.denial is not None and seen.denial.holds(now, seen.start_time):
        return Refusal(Outcome.DENIED, f"restarts are {seen.denial}; a person can allow them again")
    return None


def paused(pauses: tuple[Pause, ...], _policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse while a pause holds."""
    why = why_paused(pauses)
    return Refusal(Outcome.PAUSED, why) if why else None


def observe_mode(_restart: Restart, policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse where the mode is only to observe."""
    if policy.mode is Mode.OBSERVE:
        return Refusal(Outcome.OBSERVE_MODE, "the agent's mode is observe: it is only watched")
    return None


def quarantined(is_quarantined: bool, _policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse an agent that an earlier restart did not help."""
    if is_quarantined:
        return Refusal(
            Outcome.QUARANTINED, "an earlier restart did not help; clear the quarantine to go on"
        )
    return None


def maintenance(host: Standing, _policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse a host that a person took out of service."""
    if host.state is HostState.MAINTENANCE:
        return Refusal(Outcome.MAINTENANCE, host.reason)
    return None


def host_not_connected(host: Standing, _policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse a host that the controllers do not count on."""
    if host.state in (HostState.CONNECTING, HostState.DISCONNECTED):
        return Refusal(Outcome.HOST_NOT_CONNECTED, f"the host is {host.state}: {host.reason}")
    return None


def storm(why: str | None, _policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse while much of the fleet is over its limits."""
    return Refusal(Outcome.STORM, why) if why else None


def outside_window(restart: Restart, policy: RestartPolicy, now: float) -> Refusal | None:
    """Refuse before the planned time, and while no window is open; ``now`` in unix time."""
    if restart.not_before is not None and now < restart.not_before:
        planned = rfc3339(restart.not_before)
        return Refusal(Outcome.OUTSIDE_WINDOW, f"it is planned for {planned}")
    if is_open(policy.windows, now):
        return None
    opens = opens_at(policy.windows, now)
    when = f"the next opens at {rfc3339(opens)}" if opens else "none opens within two weeks"
    windows = listed([window.text for window in policy.windows])
    return Refusal(Outcome.OUTSIDE_WINDOW, f"outside of its windows ({windows}); {when}")


def alerts_firing(alerts: tuple[str, ...], _policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse while an alert fires that is a reason to wait."""
    if not alerts:
        return None
    return Refusal(Outcome.ALERTS_FIRING, f"until these are resolved: {listed(alerts)}")


def cooldown(ages: tuple[float, ...], policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse an agent that was restarted a short while ago; ``ages`` in seconds."""
    if not ages:
        return None
    age_seconds = min(ages)
    left_seconds = policy.guards.cooldown - age_seconds
    if left_seconds > 0:
        return Refusal(
            Outcome.COOLDOWN,
            f"restarted {format_duration(round(age_seconds))} ago;"
            f" cooldown ends in {format_duration(round(left_seconds))}",
        )
    return None


def restart_budget(
    ages: tuple[tuple[float, ...], tuple[float, ...]], policy: RestartPolicy, _now: float
) -> Refusal | None:
    """Refuse once the agent's, or the fleet's, restarts are used up; ``ages`` of both, seconds."""
    (of_agent, of_fleet), guards, fleet = ages, policy.guards, policy.fleet
    in_window = sum(age < guards.per for age in of_agent)
    if in_window >= guards.max_restarts:
        return Refusal(
            Outcome.RESTART_BUDGET,
            f"restarted {in_window} times in {format_duration(guards.per)};"
            f" at most {guards.max_restarts} are allowed",
        )
    in_hour = sum(age < 3600 for age in of_fleet)
    if in_hour >= fleet.max_restarts_per_hour:
        return Refusal(
            Outcome.RESTART_BUDGET,
            f"the fleet had {in_hour} restarts in 1h;"
            f" at most {fleet.max_restarts_per_hour} are allowed",
        )
    return None


def already_restarted(life: Life, _policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse when the process that was complained of, or admitted, is not there any more."""
    if life.admitted is not None and not same_life(life.start_time, life.admitted):
        return Refusal(
            Outcome.ALREADY_RESTARTED, "the process was replaced since this request was admitted"
        )
    alerted = life.alert_started_at
    if life.admitted is None and alerted is not None and alerted < life.start_time:
        return Refusal(
            Outcome.ALREADY_RESTARTED, "the process started after the alert began to fire"
        )
    return None


def below_hard_limit(memory: Memory, _policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse unless the agent holds more than its limit."""
    process, limit = memory.process, memory.hard_limit_bytes
    if limit == 0:
        return Refusal(Outcome.BELOW_HARD_LIMIT, "the hard limit is 0: off")
    if process.limited_bytes <= limit:
        held = format_size(process.limited_bytes)
        if process.limited_bytes != process.resident_bytes:
            held += f" (RSS {format_size(process.resident_bytes)})"
        return Refusal(
            Outcome.BELOW_HARD_LIMIT,
            f"it holds {held}, which is not above the hard limit {format_size(limit)}",
        )
    return None


def startup_grace(life: Life, policy: RestartPolicy, now: float) -> Refusal | None:
    """Refuse a process that has just started."""
    age_seconds = max(0.0, now - life.start_time)
    if age_seconds < policy.guards.startup_grace:
        return Refusal(
            Outcome.STARTUP_GRACE,
            f"the process is {format_duration(round(age_seconds))} old;"
            f" grace is {format_duration(policy.guards.startup_grace)}",
        )
    return None


def awaiting_approval(restart: Restart, policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse, for the time being, what a person has to approve."""
    if policy.mode is Mode.APPROVE and not restart.approved:
        return Refusal(Outcome.AWAITING_APPROVAL, "the agent's mode is approve: a person decides")
    return None


def busy(is_busy: bool, _policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse unless the agent is surely idle."""
    return None if is_busy is False else Refusal(Outcome.BUSY, "the agent is busy")


def tasks_running(tasks: Tasks, _policy: RestartPolicy, _now: float) -> Refusal | None:
    """Refuse while a controller has work in flight on the host."""
    names = [f"{controller}: {task.name or task.id}" for controller, task in tasks.running]
    if names or tasks.more:
        return Refusal(Outcome.TASKS_RUNNING, f"running tasks: {listed(names, more=tasks.more)}")
    return None
