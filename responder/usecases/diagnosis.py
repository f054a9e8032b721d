"""A diagnosis as a durable workflow: begun on the host, waited for, fetched, cleaned up.

The collector works and ends by itself; the responder begins it, asks how it goes, and fetches
the report. So SSH may be cut and the responder killed at any moment: each step looks first, and
beginning the same diagnosis twice begins one.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from responder.adapters.collector import Collector, CollectorError
from responder.adapters.database.diagnoses import Diagnosis
from responder.adapters.durable import Durable, run_step
from responder.adapters.telemetry import Part
from responder.core.alerts import Alert
from responder.core.facts import Host
from responder.diagnose.artifacts import Artifacts, BadReport
from responder.diagnose.policy import Diagnose, Verdict
from responder.diagnose.shipping import Order, Verb
from responder.errors import CommandLost, DatabaseUnavailable, SshError
from responder.usecases.diagnosing import Diagnosing, judge, settings_of
from responder.usecases.services import Services

log = logging.getLogger(__name__)

QUEUE = "memleash_diagnoses"
WORKFLOW = "diagnose"
CONCURRENCY = 20
"""Diagnoses at once over the whole fleet; most of one is waiting."""
POLL_SECONDS = 5.0
FETCH_ATTEMPTS = 10
LOST_SECONDS = 86400.0
PATIENCE_SECONDS = 120.0
"""How long after the collector's own deadline its answer is waited for."""

Word = tuple[str, str]
"""A verdict and its reason; an empty verdict: so far, so good."""


class DiagnosisWorkflow:
    """The workflow of one process. Build it before DBOS is launched."""

    def __init__(self, services: Services, durable: Durable, diagnosing: Diagnosing) -> None:
        self._services = services
        self._durable = durable
        self._diagnosing = diagnosing
        durable.workflow(WORKFLOW, self._body)

    def size_queue(self) -> None:
        """Create the queue; call once DBOS runs."""
        self._durable.queue(QUEUE, concurrency=CONCURRENCY, polling_seconds=1.0)

    def ask(self, alert: Alert) -> Diagnosis | None:
        """Open a diagnosis for a firing alert; None: there is nothing new to do."""
        return self._diagnosing.ask(alert)

    def consider(self, diagnosis_id: str) -> None:
        """Look at an open diagnosis: queue it, or give it its final word."""
        self._diagnosing.consider(diagnosis_id, self._enqueue)

    def resume_open(self) -> None:
        """Look again at what was opened and never got on; queueing twice changes nothing.

        What is open for far longer than any diagnosis lasts has lost its workflow: it is given
        its final word, so that the host can be diagnosed again.
        """
        now = self._services.clock.now()
        for diagnosis in self._services.memory.diagnoses.all_open():
            if now - diagnosis.requested_at > LOST_SECONDS:
                self._finish(diagnosis.id, Verdict.COLLECTOR_FAILED, "its workflow was lost", "")
            elif diagnosis.life is None:
                self.consider(diagnosis.id)

    def _enqueue(self, diagnosis_id: str) -> None:
        self._durable.enqueue(QUEUE, WORKFLOW, diagnosis_id)

    def _body(self, diagnosis_id: str) -> None:
        artifact = ""
        verdict, reason = run_step("begin", self._patiently, self._begin, diagnosis_id)
        if not verdict:
            verdict, reason = run_step("wait", self._patiently, self._wait, diagnosis_id)
            if verdict in (Verdict.DIAGNOSED, Verdict.INCOMPLETE):
                artifact, problem = run_step("fetch", self._patiently, self._fetch, diagnosis_id)
                if problem:
                    verdict, reason = Verdict.COLLECTOR_FAILED, problem
            run_step("clean", self._patiently, self._clean, diagnosis_id)
        run_step("finish", self._patiently, self._finish, diagnosis_id, verdict, reason, artifact)

    def _begin(self, diagnosis_id: str) -> Word:
        """Judge once more, note the life, and begin on the host."""
        case = self._case(diagnosis_id)
        if case.diagnosis.life is None:
            refusal, life = judge(self._services, case.diagnosis)
            if refusal is not None:
                return refusal.verdict, refusal.reason
            self._services.memory.diagnoses.advance(diagnosis_id, "begin", life)
            case = self._case(diagnosis_id)
        try:
            answer = self._tell(case, Verb.START)
        except CommandLost:
            return "", ""  # it may have begun: asking how it goes will show
        except (SshError, CollectorError) as error:
            return _word_of_error(error), str(error)
        return _word_of_end(answer) if answer["state"] == "refused" else ("", "")

    def _wait(self, diagnosis_id: str) -> Word:
        """Ask how it goes until it has ended; a host that cannot be asked is asked again."""
        case = self._case(diagnosis_id)
        self._services.memory.diagnoses.advance(diagnosis_id, "wait")
        until = time.monotonic() + case.settings.max_seconds + PATIENCE_SECONDS
        problem = "the collector did not end in time"
        while time.monotonic() < until:
            try:
                answer = self._tell(case, Verb.STATUS)
            except (SshError, CollectorError) as error:
                problem = str(error)
                log.debug("diagnosis cannot be asked about", extra={"reason": problem})
            else:
                if answer["state"] != "running":
                    return _word_of_end(answer)
            self._services.sleep(min(POLL_SECONDS, case.settings.interval))
        return Verdict.COLLECTOR_FAILED, problem

    def _fetch(self, diagnosis_id: str) -> tuple[str, str]:
        """Bring the report to its place; return its name there, or the problem."""
        case = self._case(diagnosis_id)
        self._services.memory.diagnoses.advance(diagnosis_id, "fetch")
        problem = ""
        for attempt in range(FETCH_ATTEMPTS):
            if attempt:
                self._services.sleep(POLL_SECONDS)
            try:
                tar = self._collector().fetch(case.host, case.order, case.settings.python)
                put = self._artifacts().put(
                    case.diagnosis.host,
                    case.diagnosis.agent,
                    case.diagnosis.requested_at,
                    tar,
                    case.order.max_report_bytes,
                )
            except BadReport as error:
                return "", f"the report is refused: {error}"
            except (SshError, CollectorError, OSError) as error:
                problem = f"the report was not fetched: {error}"
            else:
                return put.time, ""
        return "", problem

    def _clean(self, diagnosis_id: str) -> None:
        """Remove the run from the host. What stays is removed by the next run there."""
        try:
            case = self._case(diagnosis_id)
            self._tell(case, Verb.STOP)
            self._tell(case, Verb.CLEAN)
        except (SshError, CollectorError) as error:
            log.warning("diagnosis not cleaned up", extra={"reason": str(error)})

    def _finish(self, diagnosis_id: str, verdict: str, reason: str, artifact: str) -> None:
        self._diagnosing.finish(diagnosis_id, Verdict(verdict), reason, artifact)

    def _case(self, diagnosis_id: str) -> _Case:
        """Return all that is known of a diagnosis. Raises CollectorError when it left the files."""
        services = self._services
        diagnosis = services.memory.diagnoses.get(diagnosis_id)
        if diagnosis is None:
            raise CollectorError(f"diagnosis {diagnosis_id} was pruned")
        host = services.outside.inventory.get(diagnosis.host)
        settings = settings_of(services, diagnosis.agent)
        if host is None or settings is None:
            raise CollectorError("the host or the agent's diagnose left the configuration")
        return _Case(diagnosis, host, settings, order_of(diagnosis, settings))

    def _tell(self, case: _Case, verb: Verb) -> dict[str, str]:
        return self._collector().tell(case.host, verb, case.order, case.settings.python)

    def _collector(self) -> Collector:
        return Collector(self._services.outside.ssh)

    def _artifacts(self) -> Artifacts:
        return self._services.settings.artifacts.store()

    def _patiently(self, effect: Callable[..., Any], *args: str) -> Any:
        """Run ``effect``; while the database is gone, wait and run it again (steps look first)."""
        while True:
            try:
                return effect(*args)
            except DatabaseUnavailable as error:
                self._services.telemetry.failures.labels(Part.DATABASE).inc()
                log.warning("waiting for the database", extra={"reason": str(error)})
                self._services.sleep(1)
            except CollectorError as error:
                return Verdict.COLLECTOR_FAILED, str(error)


@dataclasses.dataclass(frozen=True, slots=True)
class _Case:
    """A diagnosis with what the files say about it now."""

    diagnosis: Diagnosis
    host: Host
    settings: Diagnose
    order: Order


def order_of(diagnosis: Diagnosis, settings: Diagnose) -> Order:
    """Return what the collector is told for ``diagnosis``."""
    ((discover, target),) = settings.discover.given().items()
    return Order(
        run=diagnosis.id,
        agent=diagnosis.agent,
        discover=discover,
        target=target,
        profile=settings.profile,
        start_time=diagnosis.life,
        kinds=settings.growth,
        rounds=settings.rounds,
        interval_seconds=settings.interval,
        remote_exec=settings.remote_exec,
        native_stacks=settings.native_stacks,
        locals=settings.locals,
        signal=settings.signal,
        urls=settings.urls,
        command=settings.command,
        least_growth_bytes=settings.min_growth,
        max_rss_bytes=settings.max_rss,
        max_seconds=settings.max_seconds,
        max_cpu_seconds=int(settings.max_cpu),
        max_report_bytes=settings.max_report,
        free_disk_bytes=settings.min_free_disk,
        marker_root=settings.busy_folder,
        work_root=settings.work_folder,
    )


def _word_of_end(answer: Mapping[str, str]) -> Word:
    """Return the verdict on how the collector ended."""
    if answer["state"] == "done":
        whole = answer["outcome"] == "complete"
        return (Verdict.DIAGNOSED, "") if whole else (Verdict.INCOMPLETE, answer["outcome"])
    if answer["state"] == "refused":
        return Verdict(answer["reason"]), answer["detail"]
    return Verdict.COLLECTOR_FAILED, f"the collector's state is {answer['state']}"


def _word_of_error(error: SshError | CollectorError) -> Verdict:
    return Verdict(error.outcome) if isinstance(error, SshError) else Verdict.COLLECTOR_FAILED
