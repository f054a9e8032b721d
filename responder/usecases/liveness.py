"""How replicas on one PostgreSQL know who lives: heartbeats, takeover, and an end for the frozen.

A replica whose heartbeat is older than ``dead_after`` has its work taken over. It may only be
frozen, though, and wake up in the middle of it. So each replica holds a dead man's switch: an
alarm that the kernel rings, and that ends the process before it does anything else, unless a
thread of its own puts it off in time. It rings earlier than another would take over.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

from responder.adapters.telemetry import Part
from responder.errors import DatabaseUnavailable
from responder.settings import Replicas
from responder.usecases.services import Services

log = logging.getLogger(__name__)


class Liveness:
    """Shows that this replica lives, and finds those that do not."""

    def __init__(
        self, services: Services, version: str, take_over: Callable[[list[str]], int]
    ) -> None:
        """``take_over`` queues again what the named replicas left, and returns how much it was."""
        self._services = services
        self._version = version
        self._take_over = take_over

    def beat(self) -> None:
        """Show signs of life until the process stops: a thread of its own, held up by nothing."""
        services = self._services
        while not services.stopping.is_set():
            try:
                services.memory.replicas.beat(services.executor_id, self._version)
            except DatabaseUnavailable as error:
                services.telemetry.failures.labels(Part.HEARTBEAT).inc()
                log.warning("no heartbeat", extra={"reason": str(error)})
            services.stopping.wait(services.settings.replicas.heartbeat)

    def hold_switch(self) -> None:
        """Put the alarm off again and again until the process stops: a thread of its own.

        It never waits for the database: a database that hangs is no reason to end.
        """
        while not self._services.stopping.is_set():
            replicas = self._services.settings.replicas
            signal.setitimer(signal.ITIMER_REAL, alarm_seconds(replicas))
            self._services.stopping.wait(replicas.heartbeat / 2)
        signal.setitimer(signal.ITIMER_REAL, 0)

    def look(self) -> None:
        """Take over what dead replicas left unfinished."""
        replicas = self._services.memory.replicas
        dead = replicas.silent(seconds=self._services.settings.replicas.dead_after)
        if not dead:
            return
        count = self._take_over(dead)
        replicas.forget(dead)
        log.warning("took over", extra={"replicas": ",".join(dead), "restarts": count})


def alarm_seconds(replicas: Replicas) -> float:
    """Return how long a replica may be frozen and live.

    Its last heartbeat may be older by one interval than the last time the alarm was put off, so
    the alarm is set to ring that much, and half as much for good measure, before a takeover.
    """
    return replicas.dead_after - 1.5 * replicas.heartbeat
