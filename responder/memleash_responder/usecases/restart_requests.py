"""Requests for a restart: opened or joined, and looked at until they are queued or refused.

Meanwhile a request may wait: for a person's word, or for what goes away by itself.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor

from memleash_responder.adapters.database.restarts import new_id
from memleash_responder.adapters.own_metrics import Part
from memleash_responder.core.alerts import Alert
from memleash_responder.core.denials import Denial
from memleash_responder.core.facts import Unknown
from memleash_responder.core.guards import deciding, refusals
from memleash_responder.core.host_states import HostState
from memleash_responder.core.moments import Stamp
from memleash_responder.core.outcomes import Outcome, Refusal
from memleash_responder.core.policy import Guards, Mode
from memleash_responder.core.restarts import (
    ALERT,
    APPROVED,
    AWAITING_APPROVAL,
    DENIED,
    NOT_BEGUN,
    QUEUED,
    REQUESTED,
    WAITING,
    Restart,
)
from memleash_responder.core.steps import Step
from memleash_responder.core.waiting import (
    first_look_seconds,
    next_look_seconds,
    wait_ended_columns,
)
from memleash_responder.errors import DatabaseUnavailable
from memleash_responder.settings import restart_policy
from memleash_responder.usecases.agent_facts import read_agent
from memleash_responder.usecases.restart_end import finish, tell
from memleash_responder.usecases.restart_situation import read_situation, seen
from memleash_responder.usecases.restart_wait import ends_with, wait
from memleash_responder.usecases.restart_workflow import RestartWorkflow
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.storm_breaker import standing_storm
from memleash_responder.usecases.unforeseen import try_one, unforeseen

log = logging.getLogger(__name__)

_LOOKED_AT = (REQUESTED, WAITING)
"""Where a look decides how a request goes on."""


class RestartRequests:
    """The way into the queue."""

    def __init__(self, services: Services, workflow: RestartWorkflow, looks: Executor) -> None:
        """``looks`` runs the looks at what waits."""
        self._services = services
        self._workflow = workflow
        self._looks = looks
        self._looks_due: dict[str, float] = {}
        """By the id of what waits, the uptime in seconds at which it is looked at again."""
        self._looking: set[str] = set()
        """The ids of what is looked at again now, or as soon as a thread is free."""

    def ask_for_alerts(self, alerts: Collection[Alert]) -> list[str]:
        """Open a request for each firing alert; return the ids of those to be considered.

        Nothing is opened for an alert that had its answer, or whose agent has an open request,
        which it joins. A refusal stands for ``guards.retry_after``: deliveries until then are
        duplicates, a later one is the alert told again. In a storm all of them are refused here,
        in one write and without a look at any host.
        """
        services, now = self._services, self._services.clock.now()
        last = services.tables.restart_history.last_for_alerts([one.fingerprint for one in alerts])
        new = [_request(alert, now) for alert in alerts if self._is_due(alert, last, now)]
        storm = standing_storm(services.tables.flags.all())
        if storm is not None:
            new = [
                dataclasses.replace(one, outcome=Outcome.STORM, reason=storm, finished_at=now)
                for one in new
            ]
        stored = services.tables.restarts.open_all(new)
        for one in new:
            self._log_request(one, created=one.id in stored)
            if storm is not None:
                tell(services, one, Outcome.STORM, storm)
        return [] if storm is not None else [one.id for one in new if one.id in stored]

    def _is_due(
        self, alert: Alert, last: Mapping[tuple[str, float], float | None], now: float
    ) -> bool:
        key = (alert.fingerprint, alert.starts_at)
        if key not in last:
            return True
        finished_at = last[key]
        retry_after = self._services.settings.agents[alert.agent].guards.retry_after
        # A clock that was set back makes the refusal look as if it were still to come.
        return finished_at is not None and not 0 <= now - finished_at < retry_after

    def ask_for_person(
        self,
        host: str,
        agent: str,
        by: str,
        *,
        forced: bool = False,
        purpose: str = "",
        not_before: float | None = None,
    ) -> Restart:
        """Open a request of a person, whose asking is the approval, or join the one that is open.

        With a ``purpose`` the agent need not be above its limit. ``not_before`` is unix time. What
        is joined, and has not sent its command, is then as this person wants it.
        """
        new = Restart(
            id=new_id(),
            host=host,
            agent=agent,
            requested_at=self._services.clock.now(),
            requested_by=by,
            forced=forced,
            purpose=purpose,
            not_before=not_before,
            approval=APPROVED,
            approval_by=by,
        )
        restart, created = self._services.tables.restarts.open(new)
        self._log_request(dataclasses.replace(new, id=restart.id), created=created)
        if not created:
            self._services.tables.restarts.endorse(new, restart.id)
            self._take_up_if_decided(restart.id)
        return restart

    def _log_request(self, new: Restart, *, created: bool) -> None:
        log.info(
            "restart requested" if created else "restart request joined",
            extra={
                "host": new.host,
                "agent": new.agent,
                "by": new.requested_by,
                "forced": new.forced,
                "id": new.id,
                "outcome": new.outcome or "open",
            },
        )

    def consider(self, restart_id: str) -> None:
        """Look at a request: queue it, refuse it, let it wait, or leave it to a person.

        Whatever another thread made of it meanwhile stands. Raises DatabaseUnavailable alone.
        """
        restart = self._services.tables.restarts.get(restart_id)
        if restart is None or restart.outcome is not None or restart.step not in _LOOKED_AT:
            return
        try:
            self._consider(restart)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # a request's boundary: it still gets its word
            log.exception("request not looked at", extra={"id": restart_id})
            self._services.telemetry.failures.labels(Part.REQUESTS).inc()
            refusal = unforeseen(error)
            finish(self._services, restart, refusal.outcome, refusal.reason, at=_LOOKED_AT)

    def _consider(self, restart: Restart) -> None:
        refusal, facts = self._judge(restart)
        if refusal is None:
            self._queue(restart, facts)
        elif refusal.outcome is Outcome.AWAITING_APPROVAL:
            self._put_to_a_person(restart, facts)
        elif (ending := ends_with(self._services, restart, refusal)) is not None:
            self._services.tables.restarts.note(restart.id, facts, at=_LOOKED_AT)
            finish(self._services, restart, ending.outcome, ending.reason, at=_LOOKED_AT)
        else:
            wait(self._services, restart, refusal, facts, at=_LOOKED_AT)

    def _queue(self, restart: Restart, facts: Mapping[str, object]) -> None:
        if self._goes_on(restart, facts, QUEUED):
            self._workflow.begin_queued()

    def _put_to_a_person(self, restart: Restart, facts: Mapping[str, object]) -> None:
        if self._goes_on(restart, facts, AWAITING_APPROVAL):
            log.info(
                "approval awaited",
                extra={"host": restart.host, "agent": restart.agent, "id": restart.id},
            )
            self._take_up_if_decided(restart.id)  # by who joined while it was looked at

    def _goes_on(self, restart: Restart, facts: Mapping[str, object], step: str) -> bool:
        """Let a request that was looked at, and waits no more, go on to ``step``."""
        return self._services.tables.restarts.move(
            restart,
            facts,
            to=step,
            at=_LOOKED_AT,
            columns=wait_ended_columns(restart, self._services.clock.stamp()),
        )

    def _judge(self, restart: Restart) -> tuple[Refusal | None, dict[str, object]]:
        services = self._services
        if restart.agent not in services.settings.agents:
            return Refusal(Outcome.UNKNOWN_AGENT, "the agent is not configured any more"), {}
        policy = restart_policy(services.settings, restart.agent)
        # What is only observed comes no further: so it is told here what would be looked at later.
        step = None if policy.mode is Mode.OBSERVE else Step.ADMIT
        situation = read_situation(services, restart, step)
        verdicts = refusals(step, situation, policy, services.clock.now())
        # What several guards cannot see is told once.
        refused = list(dict.fromkeys(refusal for _, refusal in verdicts if refusal is not None))
        if situation.host.by_restarts is HostState.CONNECTING:
            # The restart of another agent holds the host. The queue lets this one begin after it.
            refused = [one for one in refused if one.outcome is not Outcome.HOST_NOT_CONNECTED]
        main = deciding(refused)
        others = [dataclasses.asdict(refusal) for refusal in refused if refusal != main]
        return main, {"request": seen(situation), "also_refused": others}

    def resume_open(self, *, before: float) -> None:
        """Look again at what was opened before a unix time and never got on."""
        for restart in self._services.tables.restarts.all_open():
            if restart.requested_at < before:
                try_one(self._services, Part.REQUESTS, restart.id, self._resume, restart)
        self._workflow.begin_queued()

    def _resume(self, restart: Restart) -> None:
        if restart.step == REQUESTED:
            self.consider(restart.id)
        elif restart.step == AWAITING_APPROVAL:
            self._take_up_if_decided(restart.id)
        elif restart.step == Step.ADMIT:
            self._workflow.begin(restart)

    def look_at_waiting(self, *, at_once: bool = False) -> None:
        """Begin the looks that are due at what waits; ``at_once``: at all of it."""
        uptime, due = self._services.clock.stamp().uptime_seconds, self._looks_due
        all_open = self._services.tables.restarts.all_open()
        waiting = {one.id: one for one in all_open if one.step == WAITING}
        for gone in due.keys() - waiting.keys():
            due.pop(gone, None)
        for restart in waiting.values():
            if not at_once and uptime < due.setdefault(
                restart.id, self._due(first_look_seconds, restart)
            ):
                continue
            due[restart.id] = self._due(next_look_seconds, restart)
            if restart.id not in self._looking:
                self._looking.add(restart.id)
                self._looks.submit(self._look_again, restart.id)

    def _look_again(self, restart_id: str) -> None:
        self._looking.discard(restart_id)  # first: who asks while it is looked at is not overheard
        try_one(self._services, Part.REQUESTS, restart_id, self.consider, restart_id)

    def _due(
        self, wait_seconds: Callable[[Restart, Guards, Stamp], float], restart: Restart
    ) -> float:
        """Return the uptime at which a request that waits is to be looked at."""
        agent = self._services.settings.agents.get(restart.agent)
        now = self._services.clock.stamp()
        wait = wait_seconds(restart, agent.guards, now) if agent is not None else 0.0
        return now.uptime_seconds + wait

    def resolve(self, alert: Alert) -> None:
        """Cancel what an alert asked for, as far as it has not begun; start nothing."""
        requests = self._services.tables.restarts
        if requests.resolve(alert.fingerprint, alert.starts_at) == 0:
            return
        restart = requests.open_of(alert.host, alert.agent)
        if restart is not None and restart.resolved and restart.step in NOT_BEGUN:
            why = "the alert resolved before anything was done"
            finish(self._services, restart, Outcome.RESOLVED, why, at=NOT_BEGUN)

    def approve(self, restart_id: str, by: str) -> bool:
        """Approve a waiting request, which is then looked at again; False: it does not wait."""
        if not self._services.tables.restarts.decide(restart_id, APPROVED, by):
            return False
        log.info("restart approved", extra={"id": restart_id, "by": by})
        self._take_up(restart_id)
        return True

    def deny(self, restart_id: str, by: str, until: float | None = None) -> bool:
        """Deny a request that has not begun; False: it has, or is over.

        What an alert asked for it would ask for again: so the agent is not restarted before
        ``until`` (unix time); None: while its process lives. What a person asked for is cancelled,
        and further requests denied only where ``until`` says so.
        """
        requests = self._services.tables.restarts
        restart = requests.get(restart_id)
        if restart is None or not requests.decide(restart_id, DENIED, by):
            return False
        why = f"denied by {by}"
        if restart.requested_by == ALERT or until is not None:
            life = self._life_of(restart) if until is None else None
            denial = Denial(by, self._services.clock.now(), until, life)
            self._services.tables.denials.put(restart.host, restart.agent, denial)
            why = str(denial)
        finish(self._services, restart, Outcome.DENIED, why, at=NOT_BEGUN)
        return True

    def _life_of(self, restart: Restart) -> float | None:
        """Return when the agent's process started, None where that cannot be told."""
        host = self._services.outside.inventory.get(restart.host)
        agent = None if host is None else read_agent(self._services, host, restart.agent)
        known = None if agent is None or isinstance(agent, Unknown) else agent.start_time
        return None if isinstance(known, Unknown) else known

    def _take_up_if_decided(self, restart_id: str) -> None:
        """Look again at a request that waits for a word that it has by now."""
        current = self._services.tables.restarts.get(restart_id)
        if current is None or current.outcome is not None:
            return
        if current.step == WAITING:
            self.consider(restart_id)
        if current.step == AWAITING_APPROVAL and current.approval is not None:
            self._take_up(restart_id)

    def _take_up(self, restart_id: str) -> None:
        """Look again at a request that a person decided on."""
        self._services.tables.restarts.advance(restart_id, REQUESTED, before=AWAITING_APPROVAL)
        self.consider(restart_id)


def _request(alert: Alert, now: float) -> Restart:
    return Restart(
        id=new_id(),
        host=alert.host,
        agent=alert.agent,
        requested_at=now,
        fingerprint=alert.fingerprint,
        alert_started_at=alert.starts_at,
    )
