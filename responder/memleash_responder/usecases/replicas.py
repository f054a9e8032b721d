"""How replicas on one PostgreSQL know who lives: heartbeats, takeover, and an end for the frozen.

A replica whose heartbeat stands still for ``dead_after`` has its work taken over. It may only be
frozen, though, and wake up in the middle of it. So each replica holds a dead man's switch: an
alarm that the kernel rings, and that ends the process before it does anything else, unless a
thread of its own puts it off in time. It rings earlier than another would take over.

On SQLite there is one responder, and nothing of this is.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

from memleash_responder.adapters.own_metrics import Part
from memleash_responder.core.heartbeats import Watch, silent, watched
from memleash_responder.errors import DatabaseUnavailable
from memleash_responder.settings import Replicas
from memleash_responder.usecases.services import Services

log = logging.getLogger(__name__)

LEASE = "keeper"


class Liveness:
    """Shows that this replica lives, and finds those that do not."""

    def __init__(
        self, services: Services, version: str, take_over: Callable[[list[str]], int]
    ) -> None:
        """``take_over`` queues again what the named replicas left, and returns how much it was."""
        self._services = services
        self._version = version
        self._take_over = take_over
        self._watch: Watch | None = None
        self._has_lease = False
        self._lease_due_at = 0.0

    def leads(self) -> bool:
        """Whether this replica is the one that works for all; others wait for its lease to end.

        The database is asked as often as for a heartbeat: a lease outlasts several.
        """
        services, replicas = self._services, self._services.settings.replicas
        uptime_seconds = services.clock.stamp().uptime_seconds
        if uptime_seconds >= self._lease_due_at:
            lease = services.tables.replicas.lease
            self._has_lease = lease(LEASE, services.executor_id, replicas.dead_after)
            self._lease_due_at = uptime_seconds + replicas.heartbeat
        return self._has_lease

    def show(self) -> None:
        """Show one sign of life."""
        self._services.tables.replicas.beat(self._services.executor_id, self._version)

    def retire(self) -> None:
        """Say that this replica stops, so that its work is taken over at once."""
        self._services.tables.replicas.retire(self._services.executor_id)

    def beat(self) -> None:
        """Show signs of life until the process stops: a thread of its own, held up by nothing.

        And watch the others', so that whoever comes to lead knows who has been silent.
        """
        services = self._services
        while not services.stopping.is_set():
            replicas, settings = services.tables.replicas, services.settings.replicas
            try:
                self.show()
                signs = replicas.signs()
            except DatabaseUnavailable as error:
                services.telemetry.failures.labels(Part.HEARTBEAT).inc()
                log.warning("no heartbeat", extra={"reason": str(error)})
            except Exception:  # the loop's boundary: without a heartbeat others take its work over
                services.telemetry.failures.labels(Part.HEARTBEAT).inc()
                log.exception("no heartbeat")
            else:
                uptime_seconds = services.clock.stamp().uptime_seconds
                gap_seconds = settings.dead_after / 2
                self._watch = watched(self._watch, signs, uptime_seconds, gap_seconds)
            services.stopping.wait(settings.heartbeat)

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
        services, watch = self._services, self._watch  # which the other thread replaces
        if watch is None:
            return
        dead = silent(watch, services.executor_id, services.settings.replicas.dead_after)
        # Whoever was forgotten already has no row any more, and a row that is written again lives.
        still_there = services.tables.replicas.signs()
        dead = [name for name in dead if still_there.get(name) == watch.signs[name][0]]
        if not dead:
            return
        count = self._take_over(dead)
        services.tables.replicas.forget(dead)
        log.warning("took over", extra={"replicas": ",".join(dead), "restarts": count})


def alarm_seconds(replicas: Replicas) -> float:
    """Return how long a replica may be frozen and live.

    Its last heartbeat may be older by one interval than the last time the alarm was put off, so
    the alarm is set to ring that much, and half as much for good measure, before a takeover.
    """
    return replicas.dead_after - 1.5 * replicas.heartbeat
