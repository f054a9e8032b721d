"""The clockwork: what has to be looked at again and again, each in its own time.

One replica does the work for all; the others stand by. A part that fails is
logged, counted and due again. Nothing here decides, and nothing here restarts an agent.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from memleash_responder.adapters.own_metrics import Part
from memleash_responder.errors import DatabaseUnavailable
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

TICK_SECONDS = 2.0
TOGETHER_SECONDS = 0.25
"""What changes within this is told together."""


@dataclasses.dataclass(slots=True)
class Duty:
    """Something that is due every ``every_seconds``, and if so said when mutes change."""

    part: Part
    work: Callable[[], object]
    every_seconds: Callable[[], float]
    when_mutes_change: bool = False
    aside: Executor | None = None
    """Who runs what waits for hosts, so that it holds up no other duty; never twice at once."""
    due_at: float = 0.0
    """Uptime, which a step of the wall clock leaves alone."""
    is_called_for: bool = False
    """Mutes have changed since it was begun: it is due, once it is not under way any more."""
    failures: int = 0
    under_way: bool = False


class Keeper:
    """Runs the duties until the process stops."""

    def __init__(self, services: Services, duties: list[Duty], leads: Callable[[], bool]) -> None:
        """``leads`` says, each time, whether this replica is the one that does it."""
        self._services = services
        self._duties = duties
        self._leads = leads

    def run(self) -> None:
        """Run what is due, until the process stops."""
        while not self._services.stopping.is_set():
            try:
                self.tick()
            except DatabaseUnavailable as error:
                self._services.telemetry.failures.labels(Part.DATABASE).inc()
                log.warning("waiting for the database", extra={"reason": str(error)})
            except Exception:  # the loop's boundary
                self._services.telemetry.failures.labels(Part.KEEPER).inc()
                log.exception("the keeper missed a turn")
            self._rest()

    def _rest(self) -> None:
        services = self._services
        if services.mutes_changed.wait(TICK_SECONDS):
            services.stopping.wait(TOGETHER_SECONDS)
            services.mutes_changed.clear()
            for duty in self._duties:
                duty.is_called_for |= duty.when_mutes_change

    def tick(self) -> None:
        """Run each duty that is due."""
        uptime_seconds = self._services.clock.stamp().uptime_seconds
        if not self._leads():
            return
        for duty in self._duties:
            is_due = uptime_seconds >= duty.due_at or duty.is_called_for
            if duty.under_way or not is_due:
                continue
            duty.under_way, duty.is_called_for = True, False
            if duty.aside is None:
                self._run(duty)
            else:
                self._hand_over(duty, duty.aside)

    def _hand_over(self, duty: Duty, aside: Executor) -> None:
        try:
            aside.submit(self._run, duty)
        except RuntimeError as error:  # no thread can be had
            self._failed(duty, error)
            self._plan(duty)

    def _run(self, duty: Duty) -> None:
        try:
            duty.work()
        except Exception as error:  # a loop's boundary: logged, counted, due again
            self._failed(duty, error)
            log.debug("duty failed", exc_info=True)
        else:
            duty.failures = 0
        finally:
            self._plan(duty)

    def _failed(self, duty: Duty, error: Exception) -> None:
        duty.failures += 1
        self._services.telemetry.failures.labels(duty.part).inc()
        log.warning("duty failed", extra={"duty": duty.part, "reason": str(error)})

    def _plan(self, duty: Duty) -> None:
        """Make a duty due again, later after each failure in a row, at most a minute."""
        wait_seconds = duty.every_seconds()
        if duty.failures:
            wait_seconds = min(60.0, max(wait_seconds, 1.0) * 2.0 ** min(duty.failures, 6))
        duty.due_at = self._services.clock.stamp().uptime_seconds + wait_seconds
        duty.under_way = False
