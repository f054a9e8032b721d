"""The guards of a restart: one ordered table, read by the workflow and by ``explain`` alike.

A row says at which steps a guard looks, what it reads and what it checks. The order is cheap and
local first. A guard whose facts are unknown refuses, whatever it checks: unknown means no.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from memleash_responder.core import guard_checks as checks
from memleash_responder.core import situation as facts
from memleash_responder.core.facts import Unknown
from memleash_responder.core.outcomes import WAITED_FOR, Outcome, Refusal
from memleash_responder.core.policy import RestartPolicy
from memleash_responder.core.restarts import Restart
from memleash_responder.core.situation import Situation
from memleash_responder.core.steps import Step

F = TypeVar("F")


class Wish(enum.Enum):
    """What a person may say of a restart."""

    FORCE = "force"
    """It goes past what is in flight: busy, tasks, and controllers that do not say."""
    PURPOSE = "purpose"
    """It is wanted for a reason of its own, whatever the agent holds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Guard:
    """One row of the table."""

    name: str
    steps: frozenset[Step]
    reads: Callable[[Situation], object]
    """What it looks at, such as ``situation.tasks``."""
    check: Callable[[Situation, RestartPolicy, float], Refusal | None]
    gone_past_by: Wish | None
    """What a person may say to go past it."""

    def looks_at(self, step: Step | None) -> bool:
        """Whether it looks at ``step``; at None, every guard does."""
        return step is None or step in self.steps

    def skipped_by(self, restart: Restart) -> bool:
        """Whether ``restart`` goes past it."""
        if self.gone_past_by is Wish.FORCE:
            return restart.forced
        return self.gone_past_by is Wish.PURPOSE and bool(restart.purpose)


def is_read(reads: Callable[[Situation], object], step: Step | None) -> bool:
    """Whether a guard that looks at ``step`` reads that, so that it has to be asked for.

    A forced restart asks, too: what it goes past is recorded.
    """
    return any(guard.reads is reads and guard.looks_at(step) for guard in GUARDS)


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


def refusal_at(
    step: Step, situation: Situation, policy: RestartPolicy, now: float
) -> Refusal | None:
    """Return why the guards that look at ``step`` refuse, or None.

    What ends the request comes before what it may wait for.
    """
    return deciding([no for _, no in refusals(step, situation, policy, now) if no])


def gone_past(
    step: Step, situation: Situation, policy: RestartPolicy, now: float
) -> Sequence[Refusal]:
    """Return what would have been refused at ``step``, had no person wanted to go past it."""
    checked = (
        guard.check(situation, policy, now)
        for guard in GUARDS
        if guard.looks_at(step) and guard.skipped_by(situation.restart)
    )
    return list(dict.fromkeys(refusal for refusal in checked if refusal is not None))


def deciding(refused: Sequence[Refusal]) -> Refusal | None:
    """Return the first refusal that ends a request, or else the first that it may wait out."""
    ending = [refusal for refusal in refused if refusal.outcome not in WAITED_FOR]
    return next(iter([*ending, *refused]), None)


def _guard(
    name: str,
    steps: frozenset[Step],
    reads: Callable[[Situation], F | Unknown],
    check: Callable[[F, RestartPolicy, float], Refusal | None],
    *,
    gone_past_by: Wish | None = None,
    blind: Outcome = Outcome.FACTS_UNAVAILABLE,
) -> Guard:
    """Return a row: what the guard ``reads`` and what it makes of it.

    ``blind`` is its word when what it reads is unknown.
    """

    def refuse(situation: Situation, policy: RestartPolicy, now: float) -> Refusal | None:
        seen = reads(situation)
        return Refusal(blind, seen.why) if isinstance(seen, Unknown) else check(seen, policy, now)

    return Guard(name, steps, reads, refuse, gone_past_by)


_BLIND_TO_CONTROLLERS = Outcome.CONTROLLER_UNREACHABLE
_ADMIT = frozenset({Step.ADMIT})
_ADMIT_AND_SEND = frozenset({Step.ADMIT, Step.RESTART})
_VERIFY = frozenset({Step.VERIFY})
_ALWAYS = frozenset({Step.ADMIT, Step.VERIFY, Step.RESTART})

GUARDS: tuple[Guard, ...] = (
    _guard("resolved", _ALWAYS, lambda known: known.restart, checks.resolved),
    _guard("denied", _ALWAYS, facts.denied, checks.denied),
    _guard("paused", _ALWAYS, lambda known: known.pauses, checks.paused),
    _guard("observe_mode", _ALWAYS, lambda known: known.restart, checks.observe_mode),
    _guard("quarantined", _ADMIT, lambda known: known.quarantined, checks.quarantined),
    _guard("maintenance", _ALWAYS, facts.standing, checks.maintenance),
    _guard("host_not_connected", _ADMIT, facts.standing, checks.host_not_connected),
    _guard(
        "state_unknown",
        _ALWAYS,
        facts.controller_states,
        checks.passes,
        gone_past_by=Wish.FORCE,
        blind=_BLIND_TO_CONTROLLERS,
    ),
    _guard("pings_unknown", _ADMIT, facts.pings, checks.passes),
    _guard("storm", _ALWAYS, lambda known: known.storm, checks.storm),
    _guard("cooldown", _ADMIT_AND_SEND, lambda known: known.agent_restart_ages, checks.cooldown),
    _guard(
        "restart_budget",
        _ADMIT_AND_SEND,
        lambda known: (known.agent_restart_ages, known.fleet_restart_ages),
        checks.restart_budget,
    ),
    _guard("facts_unavailable", _ALWAYS, facts.memory, checks.passes),
    _guard("already_restarted", _ALWAYS, facts.life, checks.already_restarted),
    _guard(
        "below_hard_limit",
        _ALWAYS,
        facts.memory,
        checks.below_hard_limit,
        gone_past_by=Wish.PURPOSE,
    ),
    _guard("startup_grace", _ADMIT, facts.life, checks.startup_grace),
    _guard("readiness_unknown", _ADMIT, facts.ready, checks.passes),
    _guard("outside_window", _ALWAYS, lambda known: known.restart, checks.outside_window),
    _guard("alerts_firing", _ALWAYS, lambda known: known.alerts_firing, checks.alerts_firing),
    _guard("busy", _ALWAYS, facts.busy, checks.busy, gone_past_by=Wish.FORCE),
    _guard("awaiting_approval", _ADMIT, lambda known: known.restart, checks.awaiting_approval),
    _guard(
        "controller_unreachable",
        _VERIFY,
        facts.tasks,
        checks.passes,
        gone_past_by=Wish.FORCE,
        blind=_BLIND_TO_CONTROLLERS,
    ),
    _guard(
        "tasks_running",
        _VERIFY,
        facts.tasks,
        checks.tasks_running,
        gone_past_by=Wish.FORCE,
        blind=_BLIND_TO_CONTROLLERS,
    ),
)
