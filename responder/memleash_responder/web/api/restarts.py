"""Restarts: the history, one with its live steps, asking for one, approving, denying, a report."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from flask import request

from memleash_responder.core.access import Role
from memleash_responder.core.outcomes import RESTART_OUTCOMES, Outcome
from memleash_responder.usecases.operator import Operator, known_restart
from memleash_responder.usecases.services import Services
from memleash_responder.web.api.models import page, ref
from memleash_responder.web.api.parameters import SINCE, iso, label, moment, paging, word
from memleash_responder.web.api.shapes import page_json, restart_json
from memleash_responder.web.api.table import Answer, Operation, Query, Routes
from memleash_responder.web.request_checks import caller
from memleash_responder.web.responses import Problem

TAG = "restarts"
OPEN = "open"
WEEK_SECONDS = 7 * 86400


def add_restarts(routes: Routes, services: Services, operator: Operator) -> None:
    """Add the operations about restarts."""
    explained = "From this time on: RFC 3339, or a duration before now such as 7d."
    since = Query("since", explained, SINCE, moment(services.clock.now))
    _add_history(routes, services, since)
    _add_report(routes, services, since)
    _add_asking(routes, operator)
    _add_decision(routes, operator, "approve", "Approve a request that waits for a person.")
    _add_decision(routes, operator, "deny", "Deny a request that waits for a person.")


def _add_history(routes: Routes, services: Services, since: Query) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/restarts",
            "Requests for a restart, the newest first.",
            TAG,
            Role.READ,
            {200: Answer("One page of the history.", page("restarts", ref("Restart")))},
            query=(
                label("host", "Only of this host."),
                label("agent", "Only of this agent."),
                word(
                    "outcome",
                    "Only with this word, or those still open.",
                    [*RESTART_OUTCOMES, OPEN],
                ),
                since,
                *paging(),
            ),
        )
    )
    def restarts(limit: int, offset: int, **narrowed: Any) -> dict[str, Any]:
        found = services.memory.restart_history.page(**narrowed, limit=limit + 1, offset=offset)
        return page_json("restarts", [restart_json(one) for one in found], limit, offset)

    @routes.add(
        Operation(
            "GET",
            "/api/v1/restarts/{id}",
            "One request: every step as it goes on, and every fact it rested on.",
            TAG,
            Role.READ,
            {200: Answer("The request.", ref("Restart"))},
            problems=(404,),
        )
    )
    def restart(id: str) -> dict[str, Any]:  # noqa: A002 - the parameter's public name
        return restart_json(known_restart(services, id))


def _add_asking(routes: Routes, operator: Operator) -> None:
    @routes.add(
        Operation(
            "POST",
            "/api/v1/restarts",
            "Ask for a restart, or join the one that is under way.",
            TAG,
            Role.OPERATE,
            {202: Answer("The request; follow its steps.", ref("Restart"))},
            body=ref("RestartRequest"),
            problems=(404,),
        )
    )
    def ask() -> tuple[dict[str, Any], int, dict[str, str]]:
        host, agent, forced = _asked(request.get_json())
        opened = operator.restart(host, agent, caller().name, forced=forced)
        return restart_json(opened), 202, {"Location": f"/api/v1/restarts/{opened.id}"}


def _add_decision(routes: Routes, operator: Operator, word: str, summary: str) -> None:
    @routes.add(
        Operation(
            "POST",
            f"/api/v1/restarts/{{id}}/{word}",
            summary,
            TAG,
            Role.OPERATE,
            {200: Answer("The request.", ref("Restart"))},
            problems=(404, 409),
        )
    )
    def decide(id: str) -> dict[str, Any]:  # noqa: A002 - as above
        return restart_json(operator.decide(id, caller().name, approve=word == "approve"))


def _add_report(routes: Routes, services: Services, since: Query) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/report",
            "What was done, and what would have been done in observe mode, by outcome.",
            TAG,
            Role.READ,
            {200: Answer("The counts.", ref("Report"))},
            query=(since,),
        )
    )
    def report(since: float | None) -> dict[str, Any]:
        start = services.clock.now() - WEEK_SECONDS if since is None else since
        return report_json(services, start)


def report_json(services: Services, since: float) -> dict[str, Any]:
    """Count the requests since a unix time.

    In observe mode a request would have become what else refused it, or ``restarted`` where
    nothing did: as far as it could be told without holding the host and asking for its tasks.
    """
    done: dict[tuple[str, str | None], list[str]] = defaultdict(list)
    observed: dict[tuple[str, str], list[str]] = defaultdict(list)
    total = 0
    for host, agent, outcome, facts in services.memory.restart_history.outcomes(since=since):
        total += 1
        done[agent, outcome].append(host)
        if outcome == Outcome.OBSERVE_MODE:
            others = facts.get("also_refused") or [{"outcome": Outcome.RESTARTED}]
            observed[agent, others[0]["outcome"]].append(host)
    return {
        "since": iso(since),
        "total": total,
        "restarts": [
            {"agent": agent, "outcome": outcome, "requests": len(hosts), "hosts": len(set(hosts))}
            for (agent, outcome), hosts in sorted(done.items(), key=str)
        ],
        "observed": [
            {"agent": agent, "would_be": word, "requests": len(hosts), "hosts": len(set(hosts))}
            for (agent, word), hosts in sorted(observed.items())
        ],
    }


def _asked(body: object) -> tuple[str, str, bool]:
    if not isinstance(body, dict):
        raise Problem(400, "Bad request", "the body must be a JSON object")
    unknown = sorted(body.keys() - {"host", "agent", "force"})
    if unknown:
        raise Problem(400, "Bad request", f"unknown {unknown}; allowed: host, agent, force")
    host, agent, forced = body.get("host"), body.get("agent"), body.get("force", False)
    if not isinstance(host, str) or not isinstance(agent, str):
        raise Problem(400, "Bad request", "host and agent must be text")
    if not isinstance(forced, bool):
        raise Problem(400, "Bad request", "force must be true or false")
    return host, agent, forced
