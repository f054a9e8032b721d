"""The steps of a guarded restart. Each looks before it acts, so that running it twice is safe.

A step is a function of (services, restart, progress) that returns the progress made, or raises
Refused (nothing was done to the agent: its host is released) or Failed (the command was sent: the
host is lost until it proves well). The workflow records each step's progress before the next.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

from memleash_responder.adapters.ssh.client import CommandResult
from memleash_responder.core.facts import AgentFacts, Unknown, same_life, shown
from memleash_responder.core.moments import Stamp
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.progress import Failed, Progress, Refused
from memleash_responder.core.proof import missing_after_restart, missing_at_the_end
from memleash_responder.core.restarts import Restart
from memleash_responder.core.steps import Step
from memleash_responder.core.time_bought import shrinking
from memleash_responder.core.untrusted import output
from memleash_responder.errors import (
    CommandLost,
    ControllerError,
    Overtaken,
    ReconnectFailed,
    SshError,
)
from memleash_responder.usecases.diagnosis_in_restart import before_restart
from memleash_responder.usecases.host_return import reconnect_host, undrain
from memleash_responder.usecases.restart_looks import (
    agent_of,
    host_of,
    look,
    look_and_send,
    past,
    probe,
    took_effect,
)
from memleash_responder.usecases.restart_mute import claim_mute, end_mute
from memleash_responder.usecases.restart_situation import agent_seen
from memleash_responder.usecases.services import Services
from memleash_toolkit.units import format_size

log = logging.getLogger(__name__)


def admit(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Look whether the request may be acted on at all, and at which life."""
    found = look(services, restart, Step.ADMIT, None)
    return dataclasses.replace(
        progress,
        life=found.memory.process.start_time,
        resident_bytes=found.memory.process.resident_bytes,
        hard_limit_bytes=found.memory.hard_limit_bytes,
        seen={**found.seen, "limited_bytes": found.memory.process.limited_bytes},
    )


def hold(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Take the host out of service, before its tasks are looked at.

    1. the host's state becomes connecting, and an undrain is owed; 2. its pings are muted, as
    far as Alertmanager lets; 3. every controller is drained, so that no new work begins. What is
    forced goes past one that cannot be.
    """
    host, now = host_of(services, restart), services.clock.now()
    agent_of(services, restart)
    if not services.tables.hosts.hold(restart.host, restart.id, restart.agent, now):
        state = services.tables.hosts.get(restart.host).state
        raise Refused(Outcome.HOST_NOT_CONNECTED, f"the host is {state}")
    claim_mute(services, restart, now)
    try:
        services.outside.controllers.drain(host, restart.agent, restart.id)
    except ControllerError as error:
        if not restart.forced:
            raise Refused(error.outcome, str(error)) from error
        told = {str(Step.HOLD): past([Refusal(error.outcome, str(error))])}
        return dataclasses.replace(progress, seen=told)
    return progress


def verify(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Look again with the host drained: no new work begins any more."""
    found = look(services, restart, Step.VERIFY, progress.life)
    process = found.memory.process
    seen = {**found.seen, "limited_bytes": process.limited_bytes}
    return dataclasses.replace(progress, resident_bytes=process.resident_bytes, seen=seen)


def run_command(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Run the restart command once, however often this step is begun.

    1. a life that was replaced already is left alone; 2. a command that was sent before, and
    whose end nobody saw, gets its whole deadline to show; 3. connect, look a last time, note
    that it is being sent, send. Who finds that another sent it meanwhile begins anew, at 2.
    """
    while True:
        try:
            return _run_command(services, restart, progress)
        except (Overtaken, Refused) as error:
            current = services.tables.restarts.get(restart.id) or restart
            if isinstance(error, Refused) and current.command_sent == restart.command_sent:
                raise
            if current.outcome is not None:
                raise Refused(current.outcome, current.reason) from error
            log.warning("another works on this restart, too", extra={"reason": str(error)})
            restart = current


def _run_command(services: Services, restart: Restart, progress: Progress) -> Progress:
    host, agent = host_of(services, restart), agent_of(services, restart)
    patience_seconds = services.settings.ssh.command_timeout
    if restart.command_sent is not None:
        sent_seconds_ago = restart.command_sent.age_seconds(services.clock.stamp())
        patience_left = patience_seconds - sent_seconds_ago
        if took_effect(services, host, restart, progress.life, patience_left):
            return progress

    saw: dict[str, Any] = {}
    noted: Stamp | None = None

    def last_look() -> None:
        nonlocal noted
        told, noted = look_and_send(services, restart, progress.life)
        saw.update(told)

    try:
        result = services.outside.ssh.run(host, agent.restart_command, before_command=last_look)
    except CommandLost as error:
        if took_effect(services, host, restart, progress.life, patience_seconds):
            return dataclasses.replace(progress, seen=saw)
        raise Failed(error.outcome, str(error), saw) from error
    except SshError as error:
        if noted is not None:
            services.tables.sent_commands.not_sent(restart, noted)
        raise Refused(error.outcome, str(error), saw) from error
    saw["command"] = dataclasses.asdict(result) | {
        "stdout": output(result.stdout),
        "stderr": output(result.stderr),
    }
    if result.exit_code != 0:
        raise Failed(Outcome.COMMAND_FAILED, _failure(agent.restart_command, result), saw)
    return dataclasses.replace(progress, seen=saw)


def ready(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Wait until a new life answers ready."""
    facts = _proven(
        services, restart, Step.READY, lambda facts: missing_after_restart(facts, progress.life)
    )
    return dataclasses.replace(
        progress,
        new_life=shown(facts.start_time) or 0.0,
        new_resident_bytes=shown(facts.resident_bytes) or 0,
        seen={"new_limited_bytes": shown(facts.limited_bytes)},
    )


def _proven(
    services: Services,
    restart: Restart,
    step: Step,
    missing: Callable[[AgentFacts | Unknown], str | None],
    why: str = "",
) -> AgentFacts:
    """Return the agent's facts once nothing is ``missing``; probe as configured. Raises Failed.

    ``why`` begins the reason of a failure, which goes with what the last probe saw at ``step``.
    """
    host = host_of(services, restart)
    probes = agent_of(services, restart).readiness.probes
    facts, lacks = probe(services, host, restart.agent, missing)
    if isinstance(facts, AgentFacts) and lacks is None:
        return facts
    saw = {str(step): {"agent": agent_seen(facts)}}
    raise Failed(Outcome.NOT_READY, f"{why}after {probes} probes: {lacks}", saw)


def reconnect(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Have the controllers take the host back, and wait for it."""
    agent_of(services, restart)
    try:
        host = host_of(services, restart)
        reconnect_host(services, host, restart.agent, restart.id, progress.new_life)
    except ReconnectFailed as error:
        raise Failed(error.outcome, str(error)) from error
    return progress


def release(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Give everything back and judge whether the restart helped.

    1. the new life, or a newer one, must be there and ready; 2. an agent that restarts help less
    and less, or whose fresh process is near the limit already, is quarantined; 3. undrain,
    connected, and the mute ends after its tail.
    """
    facts = _proven(
        services,
        restart,
        Step.RELEASE,
        lambda facts: missing_at_the_end(facts, progress.life, progress.new_life),
        "the new process was gone again before the end: ",
    )
    life = shown(facts.start_time) or progress.new_life
    progress = dataclasses.replace(
        progress,
        new_life=life,
        new_resident_bytes=shown(facts.resident_bytes) or progress.new_resident_bytes,
        seen={"new_limited_bytes": shown(facts.limited_bytes)},
        restarted_again=not same_life(life, progress.new_life),
    )
    guards, now = agent_of(services, restart).guards, services.clock.now()
    _quarantine_if_it_helps_less(services, restart, guards.shrinking_ratio)
    held_bytes = shown(facts.limited_bytes) or 0
    if progress.hard_limit_bytes and held_bytes > guards.futile_ratio * progress.hard_limit_bytes:
        services.tables.quarantine.add(
            restart.host,
            restart.agent,
            f"a fresh process holds {format_size(held_bytes)} of the hard limit"
            f" {format_size(progress.hard_limit_bytes)}",
            now,
        )
        log.warning("quarantined", extra={"host": restart.host, "agent": restart.agent})
    undrain(services, restart.host, restart.agent, restart.id)
    services.tables.hosts.release(restart.host, restart.id, now)
    end_mute(services, restart)
    return progress


def _quarantine_if_it_helps_less(services: Services, restart: Restart, ratio: float) -> None:
    history, host, agent = services.tables.restart_history, restart.host, restart.agent
    times = history.times_bought(host=host, agent=agent)
    why = shrinking([one.seconds for one in times], ratio)
    if why is not None:
        services.tables.quarantine.add(host, agent, why, services.clock.now())
        log.warning("quarantined", extra={"host": host, "agent": agent, "reason": why})


_REQUIRETTY = "sudoers has requiretty: set ssh.pty: true, or `Defaults:USER !requiretty` in sudoers"


def _failure(command: str, result: CommandResult) -> str:
    said = output((result.stderr or result.stdout).strip(), 500)
    hint = f"; {_REQUIRETTY}" if result.lacked_terminal else ""
    return f"{command!r} ended with exit code {result.exit_code}: {said or 'it said nothing'}{hint}"


STEPS: Mapping[Step, Callable[[Services, Restart, Progress], Progress]] = {
    Step.ADMIT: admit,
    Step.HOLD: hold,
    Step.VERIFY: verify,
    Step.DIAGNOSE: before_restart,
    Step.RESTART: run_command,
    Step.READY: ready,
    Step.RECONNECT: reconnect,
    Step.RELEASE: release,
}
