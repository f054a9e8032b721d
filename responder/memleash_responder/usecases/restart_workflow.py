"""The guarded restart as one durable workflow: kill the process anywhere, and it goes on.

The body is deterministic: it only runs steps, and each step's outcome is recorded before the
next begins. A step that finds the database gone waits for it rather than ending.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
from concurrent.futures import Executor
from typing import Any

from memleash_responder.adapters.dbos_engine import Durable, run_step
from memleash_responder.adapters.own_metrics import Part
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.progress import Ended, Failed, Progress, RestartStepResult
from memleash_responder.core.restarts import Restart
from memleash_responder.core.steps import Step
from memleash_responder.errors import DatabaseUnavailable
from memleash_responder.usecases import restart_steps as steps
from memleash_responder.usecases.restart_end import finish, lose, release_host
from memleash_responder.usecases.restart_wait import ends_with, wait
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.unforeseen import patiently, try_one, unforeseen

log = logging.getLogger(__name__)

FORMER_QUEUE = "memleash_restarts"
"""Of the engine, where older releases queued restarts; now their rows are the queue.

It is still worked off, slowly: what such a release has under way when it stops goes on there, and a
replica of it, beside this one, still queues. It goes one release later.
"""
WORKFLOW = "restart"

_NEXT = dict(itertools.pairwise(steps.STEPS))


class RestartWorkflow:
    """The workflow of one process. Build it before DBOS is launched."""

    def __init__(self, services: Services, durable: Durable, aside: Executor) -> None:
        """``aside`` begins the next restart when one has ended."""
        self._services = services
        self._durable = durable
        self._aside = aside
        durable.workflow(WORKFLOW, self._body)

    def begin_queued(self) -> None:
        """Begin what is queued, the oldest first, as far as the fleet has places for it."""
        places = self._services.settings.fleet.max_concurrent_restarts
        while (restart := self._services.tables.restarts.begin_next(places)) is not None:
            try_one(self._services, Part.REQUESTS, restart.id, self.begin, restart)

    def begin(self, restart: Restart) -> None:
        """Start the workflow of a restart that has its place; again changes nothing."""
        self._durable.start(WORKFLOW, restart.attempt_id)

    def _body(self, attempt_id: str) -> None:
        progress = Progress()
        for step in steps.STEPS:
            result = self._step(step, attempt_id, progress)
            if result.refusal is not None:
                break
            progress = result.progress
        run_step("conclude", patiently, self._services, self._conclude, attempt_id, result)
        self._aside.submit(self.begin_queued)

    def _step(self, step: Step, attempt_id: str, progress: Progress) -> RestartStepResult:
        def recorded() -> dict[str, Any]:
            tried = patiently(self._services, self._attempt, step, attempt_id, progress)
            return tried.recorded()

        return RestartStepResult.of(run_step(step, recorded))

    def _of_attempt(self, attempt_id: str) -> Restart | None:
        """Return the restart, unless another attempt at it has begun, or may, since."""
        restart_id, _, attempt = attempt_id.partition(":")
        restart = self._services.tables.restarts.get(restart_id)
        return restart if restart is not None and restart.attempt == int(attempt or 0) else None

    def _attempt(self, step: Step, attempt_id: str, progress: Progress) -> RestartStepResult:
        services = self._services
        restart = self._of_attempt(attempt_id)
        if restart is None or not self._goes_on(restart, step):
            closed = Refusal(Outcome.RESOLVED, "the request was closed")
            return RestartStepResult(closed, begun=False, progress=progress)
        restart_id = restart.id
        began, stamp = services.clock.now(), services.clock.stamp()
        refusal, made = None, progress
        try:
            made = steps.STEPS[step](services, restart, progress)
        except Ended as ended:
            made, refusal = dataclasses.replace(progress, seen=ended.seen), ended.refusal
            begun = isinstance(ended, Failed) or _command_was_sent(services, restart_id)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # a step's boundary: the request still gets its word
            log.exception("step failed", extra={"step": step, "id": restart_id})
            services.telemetry.failures.labels(Part.STEP).inc()
            begun = _command_was_sent(services, restart_id)
            refusal = unforeseen(error, begun=begun)
        else:
            begun = restart.command_sent is not None
        seconds = stamp.age_seconds(services.clock.stamp())
        services.telemetry.step_seconds.labels(step).observe(seconds)
        timing = {"step": step, "started_at": began, "seconds": round(seconds, 4)}
        next_step = None if refusal else _NEXT.get(step)
        note = functools.partial(services.tables.restarts.note, restart_id, next_step=next_step)
        if not try_one(services, Part.STEP, restart_id, lambda: note(made.facts(), timing)):
            note({}, timing)  # the history is for people: what it cannot hold stops nothing
        return RestartStepResult(refusal, begun, made)

    def _goes_on(self, restart: Restart, step: Step) -> bool:
        """Take a request on at its first step, unless it got its word in the queue.

        From then on its word is this workflow's to give, and each step's end names the next.
        """
        if step is Step.ADMIT:
            return self._services.tables.restarts.advance(restart.id, step)
        return restart.outcome is None

    def _conclude(self, attempt_id: str, result: RestartStepResult) -> None:
        """Give the host what it is owed, and the restart its final word, or let it wait again."""
        services, refusal = self._services, result.refusal
        restart = self._of_attempt(attempt_id)
        if restart is None or restart.outcome is not None:
            return
        if refusal is None:
            finish(services, restart, Outcome.RESTARTED, _success(result.progress))
        elif result.begun:
            lose(services, restart, refusal)
        elif (ending := ends_with(services, restart, refusal)) is not None:
            release_host(services, restart)
            finish(services, restart, ending.outcome, ending.reason)
        else:
            release_host(services, restart)
            wait(services, restart, refusal, {}, at=tuple(Step), begun=True)


def _success(progress: Progress) -> str:
    why = "a new process is ready and the host is connected"
    again = "; it was restarted once more before the end, not by the responder"
    return why + again if progress.restarted_again else why


def _command_was_sent(services: Services, restart_id: str) -> bool:
    restart = services.tables.restarts.get(restart_id)
    return restart is not None and restart.command_sent is not None
