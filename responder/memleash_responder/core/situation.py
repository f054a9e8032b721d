"""The facts that a decision about a restart rests on, and the parts of them that guards read.

A reader returns the narrow facts of one guard, or Unknown: then the guard cannot see, and refuses.
"""

from __future__ import annotations

import dataclasses

from memleash_responder.core import host_states
from memleash_responder.core.denials import Denial
from memleash_responder.core.facts import (
    AgentFacts,
    ControllerTasks,
    Process,
    Task,
    Unknown,
    running,
)
from memleash_responder.core.host_states import ControllerState, HostFacts, Standing
from memleash_responder.core.pauses import Pause
from memleash_responder.core.restarts import Restart

NOT_ASKED = Unknown("the controllers were not asked")


@dataclasses.dataclass(frozen=True, slots=True)
class Situation:
    """Every fact that the guards rest on, read for one decision. None has a default."""

    restart: Restart
    agent: AgentFacts | Unknown
    hard_limit_bytes: int | Unknown
    """The effective limit; 0 is off."""
    pauses: tuple[Pause, ...]
    """Those that hold."""
    denial: Denial | None
    """What a person said of this agent on this host, whether it still holds or not."""
    quarantined: bool
    host: HostFacts
    agent_restart_ages: tuple[float, ...]
    """How long ago, in seconds, this agent on this host was restarted, each time."""
    fleet_restart_ages: tuple[float, ...]
    """How long ago, in seconds, anything was restarted, each time."""
    storm: str | None
    """Why nothing is restarted for now: a storm that nobody ended yet."""
    alerts_firing: tuple[str, ...] | Unknown
    """Those that ``block_while_firing`` names, each by its name and how often it fires."""
    admitted_life: float | None
    """The process start time this restart was admitted for; None before it was."""
    tasks: tuple[ControllerTasks, ...] | Unknown
    """What every controller said; NOT_ASKED where no guard looks at it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Life:
    """The process that runs now, and those that the restart is about."""

    start_time: float
    admitted: float | None
    alert_started_at: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """What a running agent holds, and what it may."""

    process: Process
    hard_limit_bytes: int
    """0 is off."""


@dataclasses.dataclass(frozen=True, slots=True)
class Denied:
    """A person's no to this request, or to all restarts of the agent for a while."""

    restart: Restart
    denial: Denial | None
    start_time: float | Unknown
    """Of the process that runs now."""


def denied(situation: Situation) -> Denied:
    """Return what people said no to; that of an unknown process stays denied."""
    agent = situation.agent
    start_time = agent if isinstance(agent, Unknown) else agent.start_time
    return Denied(situation.restart, situation.denial, start_time)


def standing(situation: Situation) -> Standing:
    """Return the host's state, by all that is known."""
    return host_states.standing(situation.host)


def controller_states(situation: Situation) -> tuple[ControllerState, ...] | Unknown:
    """Return what each controller calls the host; Unknown when one of them could not say."""
    said = situation.host.controllers
    silent = [
        f"{one.controller}: {one.state.why}" for one in said if isinstance(one.state, Unknown)
    ]
    return Unknown("; ".join(silent)) if silent else said


def pings(situation: Situation) -> bool | Unknown:
    """Return whether the host's pings fail."""
    return situation.host.pings_fail


def life(situation: Situation) -> Life | Unknown:
    """Return the life that runs now, beside what was admitted and complained of."""
    agent, restart = situation.agent, situation.restart
    if isinstance(agent, Unknown):
        return agent
    if isinstance(agent.start_time, Unknown):
        return agent.start_time
    return Life(agent.start_time, situation.admitted_life, restart.alert_started_at)


def memory(situation: Situation) -> Memory | Unknown:
    """Return the memory of an agent that runs."""
    process, limit = running(situation.agent), situation.hard_limit_bytes
    if isinstance(process, Unknown):
        return process
    return limit if isinstance(limit, Unknown) else Memory(process, limit)


def busy(situation: Situation) -> bool | Unknown:
    """Return whether the agent is busy."""
    return situation.agent if isinstance(situation.agent, Unknown) else situation.agent.busy


def ready(situation: Situation) -> bool | Unknown:
    """Return whether the agent answers its readiness probe."""
    return situation.agent if isinstance(situation.agent, Unknown) else situation.agent.ready


@dataclasses.dataclass(frozen=True, slots=True)
class Tasks:
    """What runs on a host, by all of its controllers."""

    running: tuple[tuple[str, Task], ...]
    """Each with the name of its controller; the first of them, when there are very many."""
    more: int
    """How many run beside those."""


def tasks(situation: Situation) -> Tasks | Unknown:
    """Return the tasks of every controller; Unknown when one of them could not say."""
    if isinstance(situation.tasks, Unknown):
        return situation.tasks
    silent, running, more = [], [], 0
    for controller in situation.tasks:
        if isinstance(controller.running, Unknown):
            silent.append(f"{controller.controller}: {controller.running.why}")
        else:
            running += [(controller.controller, task) for task in controller.running]
            more += controller.more
    return Unknown("; ".join(silent)) if silent else Tasks(tuple(running), more)
