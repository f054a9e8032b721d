"""The steps of a guarded restart. Each looks before it acts, so that running it twice is safe.

A step is a function of (services, restart, progress) that returns the progress made, or raises
Refused (nothing was done to the agent: all is given back) or Failed (the command was sent: the
host is lost until it proves well). The workflow records each step's progress before the next.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from responder.adapters.database.requests import Restart
from responder.adapters.ssh import CommandResult
from responder.core.facts import AgentFacts, Host, Unknown, same_life
from responder.core.guards import Refusal, first_refusal
from responder.core.host_states import HostEvent
from responder.core.outcomes import Outcome, Step
from responder.core.stamps import Stamp
from responder.errors import CommandLost, ControllerError, ReconnectFailed, SshError
from responder.settings import restart_policy
from responder.usecases.hold import claim_mute, end_mute, undrain
from responder.usecases.services import PAUSED, Services
from responder.usecases.situation import read_agent, read_situation, seen
from toolkit.units import format_duration, format_size

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """What the finished steps found out. Times are unix seconds, sizes bytes."""

    life: float = 0.0
    """Start time of the process that the request was admitted for."""
    resident_bytes: int = 0
    hard_limit_bytes: int = 0
    held: Stamp | None = None
    new_life: float = 0.0
    new_resident_bytes: int = 0

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Progress:
        """Return progress that was recorded as JSON."""
        held = raw.get("held")
        return cls(**{**raw, "held": Stamp(**held) if held else None})

    def facts(self) -> dict[str, Any]:
        """What was found so far, for the history."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value}


class Refused(Exception):
    """The request ends before the command was sent."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.reason)


class Failed(Exception):
    """The request ends badly after the command was sent."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        self.refusal = Refusal(outcome, reason)
        super().__init__(reason)


def admit(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Look whether the request may be acted on at all, and at which life."""
    agent, limit_bytes = _look(services, restart, Step.ADMIT, None)
    return dataclasses.replace(
        progress,
        life=agent.start_time or 0.0,
        resident_bytes=agent.resident_bytes or 0,
        hard_limit_bytes=limit_bytes,
    )


def hold(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Take the host out of service, before its tasks are looked at.

    1. the host's state becomes connecting; 2. its pings are muted, as far as Alertmanager lets;
    3. every controller is drained, so that no new work begins.
    """
    host, now = _host(services, restart), services.clock.now()
    if not services.memory.hosts.hold(restart.host, restart.id, restart.agent, now):
        state = services.memory.hosts.get(restart.host).state
        raise Refused(Refusal(Outcome.HOST_NOT_CONNECTED, f"the host is {state}"))
    claim_mute(services, restart, now)
    services.memory.hosts.owe_undrain(restart.host, owed=True)
    try:
        services.outside.controllers.drain(host, restart.agent)
    except ControllerError as error:
        raise Refused(Refusal(error.outcome, str(error))) from error
    return dataclasses.replace(progress, held=services.clock.stamp())


def verify(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Look again with the host drained; wait for a busy agent, but not for ever."""
    guards = services.settings.agents[restart.agent].guards
    while True:
        try:
            agent, _ = _look(services, restart, Step.VERIFY, progress.life)
        except Refused as refused:
            now = services.clock.stamp()
            waited_seconds = (progress.held or now).age_seconds(now)
            if refused.refusal.outcome is not Outcome.BUSY:
                raise
            if waited_seconds >= guards.wait_for_idle:
                raise Refused(
                    Refusal(
                        Outcome.BUSY,
                        f"the agent was still busy after {format_duration(round(waited_seconds))}",
                    )
                ) from refused
            _wait(services, restart, min(guards.idle_interval, guards.wait_for_idle))
        else:
            return dataclasses.replace(progress, resident_bytes=agent.resident_bytes or 0)


def run_command(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Run the restart command once, however often this step is begun.

    1. a life that was replaced already is left alone; 2. a command that was sent before, and
    whose end nobody saw, gets its whole deadline to show; 3. connect, look a last time, note
    that it is being sent, send.
    """
    host, agent = _host(services, restart), services.settings.agents[restart.agent]
    patience_seconds = services.settings.ssh.command_timeout
    if restart.command_sent is not None:
        sent_seconds_ago = restart.command_sent.age_seconds(services.clock.stamp())
        patience_left = patience_seconds - sent_seconds_ago
        if _took_effect(services, host, restart, progress.life, patience_left):
            return progress

    def last_look() -> None:
        _look(services, restart, Step.RESTART, progress.life)
        services.memory.requests.mark_command_sent(restart.id, services.clock.stamp())

    try:
        result = services.outside.ssh.run(host, agent.restart_command, before_command=last_look)
    except CommandLost as error:
        if _took_effect(services, host, restart, progress.life, patience_seconds):
            return progress
        raise Failed(error.outcome, str(error)) from error
    except SshError as error:
        raise Refused(Refusal(error.outcome, str(error))) from error
    services.memory.requests.note(restart.id, {"command": dataclasses.asdict(result)})
    if result.exit_code != 0:
        raise Failed(Outcome.COMMAND_FAILED, _failure(agent.restart_command, result))
    return progress


def ready(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Wait until a new life answers ready."""
    host = _host(services, restart)
    readiness = services.settings.agents[restart.agent].readiness
    last = "it was not looked at"
    for probe in range(readiness.probes):
        if probe:
            services.sleep(readiness.interval)
        facts = read_agent(services, host, restart.agent)
        if isinstance(facts, Unknown):
            last = facts.why
        elif not facts.up or facts.start_time is None:
            last = "the agent is not running"
        elif same_life(facts.start_time, progress.life):
            last = "the old process is still running"
        elif facts.ready is not True:
            last = "the new process does not answer ready"
        else:
            return dataclasses.replace(
                progress,
                new_life=facts.start_time,
                new_resident_bytes=facts.resident_bytes or 0,
            )
    raise Failed(Outcome.NOT_READY, f"after {readiness.probes} probes: {last}")


def reconnect(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Have the controllers take the host back, and wait for it."""
    timeout_seconds = services.settings.agents[restart.agent].reconnect_timeout
    try:
        services.outside.controllers.reconnect(
            _host(services, restart), restart.agent, timeout_seconds=timeout_seconds
        )
    except ReconnectFailed as error:
        raise Failed(error.outcome, str(error)) from error
    return progress


def release(services: Services, restart: Restart, progress: Progress) -> Progress:
    """Give everything back and judge whether the restart helped.

    1. the new life must still be there; 2. a fresh process that is near the limit already is
    quarantined; 3. undrain, connected, and the mute ends after its tail.
    """
    facts = read_agent(services, _host(services, restart), restart.agent)
    if isinstance(facts, AgentFacts) and (
        not facts.up
        or facts.start_time is None
        or not same_life(facts.start_time, progress.new_life)
    ):
        raise Failed(Outcome.NOT_READY, "the new process was gone again before the end")
    if isinstance(facts, AgentFacts) and facts.resident_bytes is not None:
        progress = dataclasses.replace(progress, new_resident_bytes=facts.resident_bytes)
    guards, now = services.settings.agents[restart.agent].guards, services.clock.now()
    if progress.new_resident_bytes > guards.futile_ratio * progress.hard_limit_bytes:
        services.memory.quarantine.add(
            restart.host,
            restart.agent,
            f"a fresh process holds {format_size(progress.new_resident_bytes)} of the hard limit"
            f" {format_size(progress.hard_limit_bytes)}",
            now,
        )
        log.warning("quarantined", extra={"host": restart.host, "agent": restart.agent})
    undrain(services, restart.host, restart.agent)
    services.memory.hosts.change(restart.host, HostEvent.CONNECT, restart.id, now)
    end_mute(services, restart, tail_seconds=services.settings.mute.tail)
    return progress


def _host(services: Services, restart: Restart) -> Host:
    host = services.outside.inventory.get(restart.host)
    if host is None:
        raise Refused(
            Refusal(Outcome.UNKNOWN_HOST, f"host {restart.host} left the inventory meanwhile")
        )
    return host


def _look(
    services: Services, restart: Restart, step: Step, admitted_life: float | None
) -> tuple[AgentFacts, int]:
    """Read everything afresh and run the guards of ``step``. Raises Refused."""
    current = services.memory.requests.get(restart.id) or restart
    if current.agent not in services.settings.agents:
        raise Refused(Refusal(Outcome.UNKNOWN_AGENT, f"agent {current.agent} is not configured"))
    situation = read_situation(services, current, step, admitted_life)
    policy = restart_policy(services.settings, current.agent)
    refusal = first_refusal(step, situation, policy, services.clock.now())
    services.memory.requests.note(restart.id, {str(step): seen(situation)})
    if refusal is not None:
        raise Refused(refusal)
    if isinstance(situation.agent, Unknown) or isinstance(situation.hard_limit_bytes, Unknown):
        raise TypeError("facts_unavailable is a guard of every step")
    return situation.agent, situation.hard_limit_bytes


def _wait(services: Services, restart: Restart, seconds: float) -> None:
    """Wait, but not past a person's pause or the alert's end, which count within a second."""
    until = time.monotonic() + seconds
    while (left_seconds := until - time.monotonic()) > 0:
        services.sleep(min(0.5, left_seconds))
        current = services.memory.requests.get(restart.id)
        if (current is not None and current.resolved) or PAUSED in services.memory.flags.all():
            return


def _took_effect(
    services: Services, host: Host, restart: Restart, life: float, seconds: float
) -> bool:
    """Watch for ``seconds`` whether a command whose end was not seen ended the old life."""
    until = time.monotonic() + seconds
    while True:
        facts = read_agent(services, host, restart.agent)
        if isinstance(facts, AgentFacts):
            if facts.up is False:
                return True
            if facts.start_time is not None and not same_life(facts.start_time, life):
                return True
        if time.monotonic() >= until:
            return False
        services.sleep(0.5)


def _failure(command: str, result: CommandResult) -> str:
    said = (result.stderr or result.stdout).strip()[-500:]
    return f"{command!r} ended with exit code {result.exit_code}: {said or 'it said nothing'}"


STEPS: Mapping[Step, Callable[[Services, Restart, Progress], Progress]] = {
    Step.ADMIT: admit,
    Step.HOLD: hold,
    Step.VERIFY: verify,
    Step.RESTART: run_command,
    Step.READY: ready,
    Step.RECONNECT: reconnect,
    Step.RELEASE: release,
}
