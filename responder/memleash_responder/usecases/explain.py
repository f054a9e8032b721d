"""Why an agent would or would not be restarted now: every guard, its verdict, and the facts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from memleash_responder.core.guards import Refusal, refusals
from memleash_responder.core.restarts import Restart
from memleash_responder.settings import restart_policy
from memleash_responder.usecases.restart_situation import read_situation, seen
from memleash_responder.usecases.services import Services


@dataclasses.dataclass(frozen=True, slots=True)
class GuardVerdict:
    """One guard's word now; refusal None: it passes."""

    guard: str
    refusal: Refusal | None


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """What a request made now would meet."""

    verdicts: Sequence[GuardVerdict]
    facts: dict[str, Any]

    @property
    def refusal(self) -> Refusal | None:
        """The first refusal in the order of the guards; None: it would be restarted."""
        return next((one.refusal for one in self.verdicts if one.refusal), None)


def explain(services: Services, host: str, agent: str) -> Explanation:
    """Read everything afresh and run every guard for a known host and agent; change nothing."""
    now = services.clock.now()
    situation = read_situation(services, Restart("", host, agent, now), None)
    policy = restart_policy(services.settings, agent)
    verdicts = [
        GuardVerdict(guard.name, refusal)
        for guard, refusal in refusals(None, situation, policy, now)
    ]
    return Explanation(verdicts, seen(situation))
