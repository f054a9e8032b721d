"""One process of the responder: every part is built here, started, and ended by a signal.

The process may be killed at any moment (nothing is lost), so stopping is short: no new
requests, then the end. What was under way goes on at the next start.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

from memleash_responder import settings
from memleash_responder.adapters.clock import Clock
from memleash_responder.adapters.database.engine import Database
from memleash_responder.adapters.database.migrations import upgrade
from memleash_responder.adapters.dbos_engine import STEPS_VERSION, Durable
from memleash_responder.adapters.notifier import send
from memleash_responder.adapters.own_metrics import Part, Telemetry
from memleash_responder.errors import DatabaseUnavailable
from memleash_responder.usecases import diagnosis_workflow, host_watch, restart_workflow
from memleash_responder.usecases.abandoned_restarts import AbandonedRestarts
from memleash_responder.usecases.diagnosis_requests import DiagnosisRequests
from memleash_responder.usecases.diagnosis_workflow import DiagnosisWorkflow
from memleash_responder.usecases.expiry import forget_over
from memleash_responder.usecases.host_recovery import Recovery
from memleash_responder.usecases.intake import Intake
from memleash_responder.usecases.keeper import Duty, Keeper
from memleash_responder.usecases.muting import Muting
from memleash_responder.usecases.notices import LOOK_SECONDS, UNTIL_A_RELOAD_SECONDS, Notices
from memleash_responder.usecases.operator import Operator
from memleash_responder.usecases.pruning import prunes
from memleash_responder.usecases.readings import FleetReader
from memleash_responder.usecases.replicas import Liveness
from memleash_responder.usecases.restart_requests import RestartRequests
from memleash_responder.usecases.restart_workflow import RestartWorkflow
from memleash_responder.usecases.services import Outside, Services, Tables
from memleash_responder.usecases.silences import synchronize
from memleash_responder.usecases.slow_work import SlowWork
from memleash_responder.usecases.storm_breaker import watch_for_storm
from memleash_responder.web.app import create_app
from memleash_responder.web.listening import Listening
from memleash_toolkit import VERSION
from memleash_toolkit.http_exchange import Sizes
from memleash_toolkit.http_server import HttpServer, Limits
from memleash_toolkit.settings import ConfigError
from memleash_toolkit.termination import ending_signals

log = logging.getLogger("memleash_responder")

SWEEP_SECONDS = 30.0
"""What was stored and not handled for so long was lost with a thread or a replica."""

WEB_THREADS = 8
"""Requests that are answered at once; explain and the pages wait for exporters."""

ALERT_LOOKS, WAITING_LOOKS, RENEWALS, PATIENT_LOOKS, RECONNECTS = 8, 4, 8, 4, 4
"""How much of each runs at once in the pool for what is slow. The rest of it goes one by one."""

CONTROLLER_ROUNDS = 32
"""Controllers that are asked about the whole fleet at once, each in a thread of its own."""

BODY_SLACK_BYTES = 1024 * 1024
"""What is a little too large is refused by the application, which counts it; the rest unread."""

FORMER_QUEUE_SECONDS = 5.0
"""How often the queue of an older release is looked at."""


class Responder:
    """One process: built in one place, run until a signal."""

    def __init__(self, config_file: Path, outside: Outside, listening: Listening) -> None:
        """Open the database, take the address and wire every part.

        Raises DatabaseUnavailable, or OSError for an address that cannot be had.
        """
        self._config_file = config_file
        configured = outside.settings
        database = Database(configured.database)
        database.hold()
        upgrade(database)
        self._durable = Durable(database.url, executor_id=_executor_id(database))
        self._services = services = Services(
            outside=outside,
            tables=Tables.on(database, max_backlog=configured.webhook.max_backlog),
            telemetry=Telemetry(),
            clock=Clock(),
            executor_id=self._durable.executor_id,
        )
        self._take(outside)
        slow = SlowWork()
        self._workers = slow.share(ALERT_LOOKS)
        self._workflow = RestartWorkflow(services, self._durable, slow.share(1))
        self._muting = Muting(services, slow.share(RENEWALS), slow.share(PATIENT_LOOKS))
        self._silences = slow.share(1)
        self._requests = RestartRequests(services, self._workflow, slow.share(WAITING_LOOKS))
        self._diagnosis = DiagnosisWorkflow(
            services, self._durable, DiagnosisRequests(services), slow.share(1)
        )
        self._intake = Intake(
            services, self._requests, self._muting, self._diagnosis, self._workers
        )
        self._recovery = Recovery(services, slow.share(RECONNECTS))
        self._sweeper = slow.share(1)
        rounds = ThreadPoolExecutor(CONTROLLER_ROUNDS, thread_name_prefix="round")
        self._watch = host_watch.ControllerWatch(services, rounds)
        self._pings = slow.share(1)
        self._notices = slow.share(1)
        self._liveness = self._shared(database)
        leads = self._liveness.leads if self._liveness is not None else lambda: True
        self._keeper = Keeper(services, self._duties(), leads)
        operator = Operator(services, self._requests, self._muting, self._diagnosis)
        app = create_app(
            services,
            self._intake,
            operator,
            self.reload,
            listening.gate,
            FleetReader(services, slow.share(1)),
        )
        largest = app.config["MAX_CONTENT_LENGTH"] + BODY_SLACK_BYTES
        limits = Limits(sizes=Sizes(body=largest), threads=WEB_THREADS)
        self._server = HttpServer(app, listening.address, listening.web_config, limits)

    def _duties(self) -> list[Duty]:
        services = self._services

        def swept_before() -> float:
            return services.clock.now() - SWEEP_SECONDS

        sweeps: list[Callable[[], None]] = [
            lambda: self._intake.sweep(before=swept_before()),
            lambda: self._requests.resume_open(before=swept_before()),
            self._diagnosis.resume_open,
            AbandonedRestarts(services, self._abandoned, self._cancel).end,
        ]
        return [
            Duty(Part.RENEW_MUTES, self._muting.renew, lambda: services.settings.mute.interval),
            Duty(
                Part.SYNCHRONIZE_MUTES,
                lambda: synchronize(services),
                lambda: services.settings.mute.interval,
                when_mutes_change=True,
                aside=self._silences,
            ),
            Duty(Part.LOOK_AT_WAITING, self._requests.look_at_waiting, lambda: 1.0),
            Duty(Part.RECOVER_HOSTS, self._recovery.look, lambda: 1.0),
            Duty(Part.EXPIRY, lambda: forget_over(services), lambda: 15.0),
            Duty(Part.WATCH_HOSTS, self._watch.look, lambda: 1.0),
            Duty(
                Part.WATCH_PINGS,
                lambda: host_watch.watch_pings(services),
                lambda: host_watch.WATCH_SECONDS,
                aside=self._pings,
            ),
            Duty(
                Part.NOTIFY,
                Notices(services, send).look,
                lambda: LOOK_SECONDS if services.settings.notify else UNTIL_A_RELOAD_SECONDS,
                aside=self._notices,
            ),
            # A fleet that has gone quiet tells of no calm.
            Duty(Part.WATCH_FOR_STORM, lambda: watch_for_storm(services), lambda: 15.0),
            *(Duty(Part.SWEEP, one, lambda: SWEEP_SECONDS, aside=self._sweeper) for one in sweeps),
            *(Duty(Part.PRUNE, one, lambda: 3600.0) for one in prunes(services, self._durable)),
            *self._takeovers(),
        ]

    def _shared(self, database: Database) -> Liveness | None:
        """Return how this replica shows that it lives; None on SQLite: it has no others."""
        if database.is_sqlite:
            return None
        return Liveness(self._services, STEPS_VERSION, self._durable.take_over)

    def _takeovers(self) -> list[Duty]:
        if self._liveness is None:
            return []
        replicas = self._services.settings.replicas
        return [Duty(Part.TAKE_OVER, self._liveness.look, lambda: replicas.heartbeat)]

    def reload(self) -> None:
        """Read the configuration again and swap it in whole; work in flight goes on with it.

        Raises ConfigError and keeps the old one when the new one cannot be used.
        """
        try:
            self._take(self._read_again())
        except ConfigError:
            self._services.telemetry.reload_successful.set(0)
            raise
        self._workers.submit(self._workflow.begin_queued)
        self._workers.submit(self._doubt_controllers)
        log.info("configuration reloaded")

    def _read_again(self) -> Outside:
        configured = settings.load(self._config_file)
        if configured.database != self._services.settings.database:
            raise ConfigError(
                str(self._config_file), "database", "cannot change while running; restart"
            )
        return Outside.of(configured)

    def _take(self, outside: Outside) -> None:
        self._services.outside = outside
        self._services.telemetry.expect(outside.settings.agents)
        self._services.telemetry.reload_successful.set(1)
        self._services.telemetry.reloaded_at.set(self._services.clock.now())

    def _work_off(self, queue: str, places: int) -> None:
        """Go on with what an older release queued, if one ran on this database."""
        if self._durable.has_queue(queue):
            self._durable.queue(queue, concurrency=places, polling_seconds=FORMER_QUEUE_SECONDS)

    def _reload_and_log(self) -> None:
        try:
            self.reload()
        except ConfigError as error:
            log.error("configuration not reloaded", extra={"reason": str(error)})  # noqa: TRY400

    def _doubt_controllers(self) -> None:
        """Say which controller would refuse every restart, before the first restart does."""
        outside = self._services.outside
        for agent in outside.settings.agents:
            for controller, doubt in outside.controllers.doubts(agent).items():
                if doubt is not None:
                    log.warning(
                        "a controller's settings may be wrong",
                        extra={"controller": controller, "agent": agent, "reason": doubt},
                    )

    def _abandoned(self, restart_ids: Collection[str]) -> set[str]:
        versions = self._services.tables.replicas.versions()
        return self._durable.abandoned(
            restart_workflow.WORKFLOW, restart_ids, versions | {STEPS_VERSION}
        )

    def _cancel(self, restart_id: str) -> None:
        self._durable.cancel(restart_workflow.WORKFLOW, restart_id)

    def _threads(self) -> dict[str, Callable[[], None]]:
        threads = {
            "intake": self._intake.run,
            "keeper": self._keeper.run,
        }
        if self._liveness is not None:
            threads |= {"heartbeat": self._liveness.beat, "switch": self._liveness.hold_switch}
        return threads

    def run(self) -> NoReturn:
        """Serve until a signal ends the process: 0, or 1 when it could not start."""
        signalled, waker = socket.socketpair()
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno())  # no signal is missed, and nothing is polled
        stop = threading.Event()
        for number in ending_signals():
            signal.signal(number, lambda *_: stop.set())
        signal.signal(signal.SIGHUP, lambda *_: self._workers.submit(self._reload_and_log))
        try:
            self._begin()
        except BaseException as error:  # noqa: BLE001 - the threads that run by now must not go on
            _tell(error)
            logging.shutdown()
            os._exit(1)
        log.info("listening", extra={"address": self._server.address, **self._about()})
        while not stop.is_set():
            signalled.recv(64)
        log.info("stopping")
        self._services.stopping.set()
        self._server.stop()
        if self._liveness is not None:
            with contextlib.suppress(DatabaseUnavailable):  # then others wait until it is silent
                self._liveness.retire()
        logging.shutdown()
        os._exit(0)  # threads that wait for a host must not hold up the end

    def _about(self) -> dict[str, object]:
        """Return what whoever reads the log wants to know of a process that starts."""
        outside = self._services.outside
        return {
            "version": VERSION,
            "config": str(self._config_file),
            "hosts": len(outside.inventory.hosts()),
            "agents": ", ".join(
                f"{name} ({one.mode})" for name, one in outside.settings.agents.items()
            ),
            "controllers": ", ".join(one.name for one in outside.settings.controllers) or "none",
        }

    def _begin(self) -> None:
        """Start every part. Raises what any of them raises, with threads of others running."""
        if self._liveness is not None:  # before any work: who dies with some must have lived
            self._liveness.show()
        self._services.tables.hosts.forget_attempts(self._services.executor_id)
        self._durable.launch()
        places = self._services.settings.fleet.max_concurrent_restarts
        self._work_off(restart_workflow.FORMER_QUEUE, places)
        self._work_off(diagnosis_workflow.FORMER_QUEUE, diagnosis_workflow.CONCURRENCY)
        everything = self._services.clock.now() + 1
        self._intake.sweep(before=everything)
        self._workers.submit(self._requests.resume_open, before=everything)
        for name, work in self._threads().items():
            threading.Thread(target=work, name=name, daemon=True).start()
        self._server.serve()
        self._workers.submit(self._doubt_controllers)


def _tell(error: BaseException) -> None:
    """Say why the start failed: in one line what people can mend, else with the traceback."""
    if not isinstance(error, ConfigError | DatabaseUnavailable | OSError):
        traceback.print_exception(error)
    sys.stderr.write(f"memleash-responder: {error}\n")


def _executor_id(database: Database) -> str:
    """Name this replica: on SQLite there is one, and a restart goes on with its own work."""
    return (
        "local" if database.is_sqlite else f"{os.uname().nodename}:{os.getpid()}:{time.time():.0f}"
    )
