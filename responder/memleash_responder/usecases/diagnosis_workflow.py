"""A diagnosis as a durable workflow: begun on the host, waited for, fetched, cleaned up.

The diagnoser works and ends by itself; the responder begins it, asks how it goes, and fetches
the report. So SSH may be cut and the responder killed at any moment: each step looks first, and
beginning the same diagnosis twice begins one. Whatever a host answers, the diagnosis gets its word.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from memleash_responder.adapters.database.diagnoses import Diagnosis
from memleash_responder.adapters.dbos_engine import STEPS_VERSION, Durable, run_step
from memleash_responder.adapters.diagnoser import Answer, Diagnoser, DiagnoserError, State
from memleash_responder.adapters.diagnoser_program import Plan, Verb
from memleash_responder.adapters.own_metrics import Part
from memleash_responder.adapters.reports import BadReport
from memleash_responder.core.alerts import Alert
from memleash_responder.core.diagnoses import WITH_REPORT, DiagnosisStepResult
from memleash_responder.core.diagnosis_settings import Diagnose
from memleash_responder.core.facts import Host
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.restarts import AWAITING_APPROVAL, QUEUED, REQUESTED, WAITING
from memleash_responder.errors import CommandLost, DatabaseUnavailable, SshError
from memleash_responder.usecases.diagnosis_plan import plan_of
from memleash_responder.usecases.diagnosis_requests import (
    DiagnosisRequests,
    judge,
    rounds_of,
    settings_of,
)
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.unforeseen import patiently, try_one, unforeseen

log = logging.getLogger(__name__)

FORMER_QUEUE = "memleash_diagnoses"
"""Of the engine, where older releases queued diagnoses; now their rows are the queue."""
WORKFLOW = "diagnose"
CONCURRENCY = 20
"""Diagnoses at once over the whole fleet; most of one is waiting."""
POLL_SECONDS = 5.0
FETCH_ATTEMPTS = 10
NONSENSE_AT_MOST = 3
"""Answers in a row that nobody understands; a host may have been out of memory for one of them."""
QUIET_SECONDS = 60.0
"""A diagnosis younger than this may be between two records, and is left alone."""
PATIENCE_SECONDS = 120.0
"""How long after the diagnoser's own deadline its answer is waited for."""
FOR_A_RESTART = "a restart was asked for"


GOES_ON = DiagnosisStepResult()


class DiagnosisWorkflow:
    """The workflow of one process. Build it before DBOS is launched."""

    def __init__(
        self,
        services: Services,
        durable: Durable,
        diagnosing: DiagnosisRequests,
        aside: Executor,
    ) -> None:
        """``aside`` begins the next diagnosis when one has ended."""
        self._services = services
        self._durable = durable
        self._diagnosing = diagnosing
        self._aside = aside
        durable.workflow(WORKFLOW, self._body)

    def ask(self, alert: Alert) -> Diagnosis | None:
        """Open a diagnosis for a firing alert; None: there is nothing new to do."""
        return self._diagnosing.ask(alert)

    def ask_for_person(self, host: str, agent: str, by: str) -> Diagnosis | None:
        """Open a diagnosis and look at it, or join this agent's; None: another one's is open."""
        opened = self._diagnosing.ask_for_person(host, agent, by)
        if opened is not None:
            self.consider(opened.id)
        return opened

    def consider(self, diagnosis_id: str) -> None:
        """Look at an open diagnosis: queue it, or give it its final word; begin what may begin."""
        self._diagnosing.consider(diagnosis_id)
        self.begin_queued()

    def begin_queued(self) -> None:
        """Begin what is queued, the oldest first, as far as the fleet has places for it."""
        diagnoses = self._services.tables.diagnoses
        while (begun := diagnoses.begin_next(CONCURRENCY)) is not None:
            try_one(self._services, Part.REQUESTS, begun.id, self._start, begun.id)

    def resume_open(self) -> None:
        """Look again at what was opened and never got on; starting twice changes nothing.

        What was begun and has no workflow any more is given its final word, so that the host can
        be diagnosed again. One that cannot be looked at holds up no other.
        """
        tables = self._services.tables
        before = self._services.clock.now() - QUIET_SECONDS
        opened = tables.diagnoses.all_open()
        for one in opened:
            if one.life is None:
                look = self.consider if one.step in (REQUESTED, QUEUED) else self._start
                try_one(self._services, Part.SWEEP, one.id, look, one.id)
        self.begin_queued()
        begun = [one.id for one in opened if one.life is not None and one.requested_at < before]
        if begun:
            versions = tables.replicas.versions() | {STEPS_VERSION}
            for lost in self._durable.abandoned(WORKFLOW, begun, versions):
                self._diagnosing.finish(lost, Outcome.DIAGNOSER_FAILED, "its workflow was lost")

    def _start(self, diagnosis_id: str) -> None:
        self._durable.start(WORKFLOW, diagnosis_id)

    def _body(self, diagnosis_id: str) -> None:
        result = self._step("begin", self._begin, diagnosis_id)
        if result.outcome is None:
            result = self._step("wait", self._wait, diagnosis_id)
            if result.outcome in WITH_REPORT:
                result = self._step("fetch", self._fetch, diagnosis_id, result)
        if result.outcome in WITH_REPORT or result.outcome is Outcome.DIAGNOSER_FAILED:
            self._step("clean", self._clean, diagnosis_id)
        self._step("finish", self._finish, diagnosis_id, result)
        self._aside.submit(self.begin_queued)

    def _step(
        self,
        name: str,
        effect: Callable[..., DiagnosisStepResult],
        diagnosis_id: str,
        *before: DiagnosisStepResult,
    ) -> DiagnosisStepResult:
        def recorded() -> list[str]:
            tried = patiently(self._services, self._try, effect, diagnosis_id, *before)
            return tried.recorded()

        return DiagnosisStepResult.of(run_step(name, recorded))

    def _try(
        self,
        effect: Callable[..., DiagnosisStepResult],
        diagnosis_id: str,
        *before: DiagnosisStepResult,
    ) -> DiagnosisStepResult:
        """Run ``effect`` to its end; whatever it raises has a word, unless the database is gone."""
        try:
            return effect(diagnosis_id, *before)
        except DatabaseUnavailable:
            raise
        except DiagnoserError as error:
            return DiagnosisStepResult(Outcome.DIAGNOSER_FAILED, str(error))
        except Exception as error:  # the boundary of one step
            self._services.telemetry.failures.labels(Part.STEP).inc()
            log.exception("diagnosis failed", extra={"id": diagnosis_id})
            return DiagnosisStepResult(Outcome.DIAGNOSER_FAILED, unforeseen(error).reason)

    def _begin(self, diagnosis_id: str) -> DiagnosisStepResult:
        """Judge once more, note the life and the rounds, and begin on the host."""
        case = self._case(diagnosis_id)
        if case.diagnosis.life is None:
            judged = judge(self._services, case.diagnosis)
            if isinstance(judged, Refusal):
                return DiagnosisStepResult(judged.outcome, judged.reason)
            rounds = rounds_of(self._services, case.diagnosis.agent, case.settings, judged)
            self._services.tables.diagnoses.begin(diagnosis_id, judged.process.start_time, rounds)
            case = self._case(diagnosis_id)
            log.info("diagnosis begun", extra={"id": diagnosis_id, "pace": str(rounds)})
        try:
            answer = self._tell(case, Verb.START)
        except CommandLost:
            return GOES_ON  # it may have begun: asking how it goes will show
        except SshError as error:
            return DiagnosisStepResult(Outcome(error.outcome), str(error))
        return _end(answer) if answer.state is State.REFUSED else GOES_ON

    def _wait(self, diagnosis_id: str) -> DiagnosisStepResult:
        """Ask how it goes until it has ended; a host that cannot be asked is asked again.

        A restart that is asked for meanwhile ends it early: what was found until then is kept.
        """
        case = self._case(diagnosis_id)
        self._services.tables.diagnoses.advance(diagnosis_id, "wait")
        clock, patience_seconds = self._services.clock, case.plan.max_seconds + PATIENCE_SECONDS
        begun = clock.stamp()
        problem, nonsense, hurried = "the diagnoser did not end in time", 0, ""
        while begun.age_seconds(clock.stamp()) < patience_seconds and nonsense < NONSENSE_AT_MOST:
            try:
                if not hurried and self._must_give_way(case):
                    hurried = FOR_A_RESTART
                    self._tell(case, Verb.STOP)
                answer = self._tell(case, Verb.STATUS)
            except SshError as error:
                problem = str(error)
                log.debug("diagnosis cannot be asked about", extra={"reason": problem})
            except DiagnoserError as error:
                problem, nonsense = str(error), nonsense + 1
            else:
                if answer.state is not State.RUNNING:
                    return _end(answer, hurried)
                nonsense = 0
            self._services.sleep(min(POLL_SECONDS, case.plan.interval_seconds))
        return DiagnosisStepResult(Outcome.DIAGNOSER_FAILED, problem)

    def _must_give_way(self, case: _Case) -> bool:
        """Whether a restart of the agent waits, for so long as it may be kept waiting."""
        restart = self._services.tables.restarts.open_of(case.diagnosis.host, case.diagnosis.agent)
        if restart is None or restart.step == AWAITING_APPROVAL:
            return False
        if restart.step == WAITING and restart.waits_for is not Outcome.BUSY:
            return False
        waits_seconds = self._services.clock.now() - restart.requested_at
        patience_seconds = case.settings.before_restart_timeout
        return not case.settings.require_evidence or waits_seconds > patience_seconds

    def _fetch(self, diagnosis_id: str, ended: DiagnosisStepResult) -> DiagnosisStepResult:
        """Bring the report to its place; return how it ended, with the report's name there."""
        case = self._case(diagnosis_id)
        self._services.tables.diagnoses.advance(diagnosis_id, "fetch")
        problem = ""
        for attempt in range(FETCH_ATTEMPTS):
            if attempt:
                self._services.sleep(POLL_SECONDS)
            try:
                tar = self._diagnoser().fetch(case.host, case.plan, case.settings.python)
                put = self._services.outside.reports.put(
                    case.diagnosis.host,
                    case.diagnosis.agent,
                    case.diagnosis.requested_at,
                    tar,
                    case.plan.max_report_bytes,
                )
            except BadReport as error:
                return DiagnosisStepResult(
                    Outcome.DIAGNOSER_FAILED, f"the report is refused: {error}"
                )
            except (SshError, OSError) as error:
                problem = f"the report was not fetched: {error}"
            else:
                return dataclasses.replace(ended, report=put.time)
        return DiagnosisStepResult(Outcome.DIAGNOSER_FAILED, problem)

    def _clean(self, diagnosis_id: str) -> DiagnosisStepResult:
        """Remove the run from the host. What stays is removed by the next run there."""
        try:
            case = self._case(diagnosis_id)
            self._tell(case, Verb.STOP)
            self._tell(case, Verb.CLEAN)
        except (SshError, DiagnoserError) as error:
            log.warning("diagnosis not cleaned up", extra={"reason": str(error)})
        return GOES_ON

    def _finish(self, diagnosis_id: str, ended: DiagnosisStepResult) -> DiagnosisStepResult:
        if ended.outcome is not None:
            self._diagnosing.finish(diagnosis_id, ended.outcome, ended.reason, ended.report)
        return GOES_ON

    def _case(self, diagnosis_id: str) -> _Case:
        """Return all that is known of a diagnosis. Raises DiagnoserError when it left the files."""
        services = self._services
        diagnosis = services.tables.diagnoses.get(diagnosis_id)
        if diagnosis is None:
            raise DiagnoserError(f"diagnosis {diagnosis_id} was pruned")
        host = services.outside.inventory.get(diagnosis.host)
        settings = settings_of(services, diagnosis.agent)
        if host is None or settings is None:
            raise DiagnoserError("the host or the agent's diagnose left the configuration")
        return _Case(diagnosis, host, settings, plan_of(diagnosis, settings))

    def _tell(self, case: _Case, verb: Verb) -> Answer:
        return self._diagnoser().tell(case.host, verb, case.plan, case.settings.python)

    def _diagnoser(self) -> Diagnoser:
        return Diagnoser(self._services.outside.ssh)


@dataclasses.dataclass(frozen=True, slots=True)
class _Case:
    """A diagnosis with what the files say about it now."""

    diagnosis: Diagnosis
    host: Host
    settings: Diagnose
    plan: Plan


def _end(answer: Answer, hurried: str = "") -> DiagnosisStepResult:
    """Return what came of a diagnoser that goes on no more."""
    match answer.state:
        case State.DONE if answer.outcome == "complete":
            return DiagnosisStepResult(Outcome.DIAGNOSED)
        case State.DONE:
            return DiagnosisStepResult(
                Outcome.INCOMPLETE, ": ".join(filter(None, (answer.outcome, hurried)))
            )
        case State.REFUSED if answer.refusal is not None:
            return DiagnosisStepResult(answer.refusal, answer.detail)
        case State.REFUSED | State.RUNNING | State.DIED | State.UNKNOWN | State.READ:
            return DiagnosisStepResult(
                Outcome.DIAGNOSER_FAILED, f"the diagnoser's state is {answer.state}"
            )
