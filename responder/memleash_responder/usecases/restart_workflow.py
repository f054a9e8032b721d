"""The guarded restart as one durable workflow: kill the process anywhere, and it goes on.

The body is deterministic: it only runs steps, and each step's outcome is recorded before the
next begins. A step that finds the database gone waits for it rather than ending.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from memleash_responder.adapters.dbos_engine import Durable, run_step
from memleash_responder.adapters.telemetry import Part
from memleash_responder.core.outcomes import Outcome, Refusal, Step
from memleash_responder.core.progress import Ended, Failed, Progress
from memleash_responder.core.restarts import Restart
from memleash_responder.errors import DatabaseUnavailable
from memleash_responder.usecases import restart_steps as steps
from memleash_responder.usecases.boundary import try_one, unforeseen
from memleash_responder.usecases.restart_end import conclude
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

QUEUE = "memleash_restarts"
WORKFLOW = "restart"

T = TypeVar("T")

_NEXT = dict(itertools.pairwise(steps.STEPS))


class RestartWorkflow:
    """The workflow of one process. Build it before DBOS is launched."""

    def __init__(self, services: Services, durable: Durable) -> None:
        self._services = services
        self._durable = durable
        durable.workflow(WORKFLOW, self._body)

    def enqueue(self, restart_id: str) -> None:
        """Queue an admitted request; doing it again changes nothing."""
        self._durable.enqueue(QUEUE, WORKFLOW, restart_id)

    def _body(self, restart_id: str) -> None:
        progress = Progress().recorded()
        for step in steps.STEPS:
            result = run_step(step, self._perform, step, restart_id, progress)
            if result["refusal"] is not None:
                run_step("conclude", self._conclude, restart_id, result["refusal"], result["begun"])
                return
            progress = result["progress"]
        run_step("conclude", self._conclude, restart_id, None, True)

    def _perform(self, step: Step, restart_id: str, progress: dict[str, Any]) -> dict[str, Any]:
        return self._patiently(lambda: self._attempt(step, restart_id, progress))

    def _attempt(self, step: Step, restart_id: str, raw: dict[str, Any]) -> dict[str, Any]:
        services, progress = self._services, Progress.of(raw)
        restart = services.memory.restarts.get(restart_id)
        if restart is None or not self._goes_on(restart, step):
            return _refused(Refusal(Outcome.RESOLVED, "the request was closed"), begun=False)
        began, stamp = services.clock.now(), services.clock.stamp()
        begun = restart.command_sent is not None
        made = progress
        try:
            made = steps.STEPS[step](services, restart, progress)
        except Ended as ended:
            made = dataclasses.replace(progress, seen=ended.seen)
            begun = isinstance(ended, Failed) or _command_was_sent(services, restart_id)
            result = _refused(ended.refusal, begun=begun)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # a step's boundary: the request still gets its word
            log.exception("step failed", extra={"step": step, "id": restart_id})
            services.telemetry.failures.labels(Part.STEP).inc()
            begun = _command_was_sent(services, restart_id)
            result = _refused(unforeseen(error, begun=begun), begun=begun)
        else:
            result = {"refusal": None, "begun": begun, "progress": made.recorded()}
        seconds = stamp.age_seconds(services.clock.stamp())
        services.telemetry.step_seconds.labels(step).observe(seconds)
        timing = {"step": step, "started_at": began, "seconds": round(seconds, 4)}
        next_step = _NEXT.get(step) if result["refusal"] is None else None
        note = functools.partial(services.memory.restarts.note, restart_id, next_step=next_step)
        if not try_one(services, Part.STEP, restart_id, lambda: note(made.facts(), timing)):
            note({}, timing)  # the history is for people: what it cannot hold stops nothing
        return result

    def _goes_on(self, restart: Restart, step: Step) -> bool:
        """Take a request on at its first step, unless it got its word in the queue.

        From then on its word is this workflow's to give, and each step's end names the next.
        """
        if step is Step.ADMIT:
            return self._services.memory.restarts.advance(restart.id, step)
        return restart.outcome is None

    def _conclude(self, restart_id: str, raw: dict[str, str] | None, begun: bool) -> None:
        refusal = Refusal(Outcome(raw["outcome"]), raw["reason"]) if raw else None

        def give_back() -> None:
            restart = self._services.memory.restarts.get(restart_id)
            if restart is not None:
                conclude(self._services, restart, refusal, begun=begun)

        self._patiently(give_back)

    def _patiently(self, effect: Callable[[], T]) -> T:
        """Run ``effect``; while the database is gone, wait and run it again (steps look first)."""
        while True:
            try:
                return effect()
            except DatabaseUnavailable as error:
                self._services.telemetry.failures.labels(Part.DATABASE).inc()
                log.warning("waiting for the database", extra={"reason": str(error)})
                self._services.sleep(1)


def _refused(refusal: Refusal, *, begun: bool) -> dict[str, Any]:
    plain = {"outcome": refusal.outcome, "reason": refusal.reason}
    return {"refusal": plain, "begun": begun, "progress": None}


def _command_was_sent(services: Services, restart_id: str) -> bool:
    restart = services.memory.restarts.get(restart_id)
    return restart is not None and restart.command_sent is not None
