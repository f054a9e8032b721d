"""Restarts: the history, one with its live steps, asking for one, approving, denying, a summary."""

from __future__ import annotations

from typing import Annotated, Any

from memleash_responder.core.access import Role
from memleash_responder.core.outcomes import RESTART_OUTCOMES
from memleash_responder.usecases import overview
from memleash_responder.usecases.operator import Operator, known_restart
from memleash_responder.usecases.services import Services
from memleash_responder.web.api import models
from memleash_responder.web.api.json_schema import Keyword
from memleash_responder.web.api.parameters import (
    SINCE,
    label,
    moment,
    paging,
    parse_at,
    parse_end,
    parse_reason,
    word,
)
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
    _add_summary(routes, services, since)
    _add_asking(routes, operator)
    _add_approving(routes, operator)
    _add_denying(routes, services, operator)


def _add_history(routes: Routes, services: Services, since: Query) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/restarts",
            "Requests for a restart, the newest first.",
            TAG,
            Role.READ,
            {200: Answer("One page of the history.", models.RestartPage)},
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
    def restarts(limit: int, offset: int, **narrowed: Any) -> models.RestartPage:
        rows = services.tables.restart_history.page(**narrowed, limit=limit + 1, offset=offset)
        found = [models.Restart.of(row) for row in rows]
        return models.RestartPage(*models.cut(found, limit, offset))

    @routes.add(
        Operation(
            "GET",
            "/api/v1/restarts/{id}",
            "One request: every step as it goes on, and every fact it rested on.",
            TAG,
            Role.READ,
            {200: Answer("The request.", models.Restart)},
            problems=(404,),
        )
    )
    def restart(id: str) -> models.Restart:  # noqa: A002 - the parameter's public name
        return models.Restart.of(known_restart(services, id))


def _add_asking(routes: Routes, operator: Operator) -> None:
    @routes.add(
        Operation(
            "POST",
            "/api/v1/restarts",
            "Ask for a restart, or join the one that is under way.",
            TAG,
            Role.OPERATE,
            {202: Answer("The request; follow its steps.", models.Restart)},
            body=models.RestartRequest,
            problems=(404,),
        )
    )
    def ask(asked: models.RestartRequest) -> tuple[models.Restart, int, dict[str, str]]:
        who = caller().name
        try:
            purpose, at = parse_reason(asked.reason), parse_at(asked.at)
        except ValueError as error:
            raise Problem(400, "Bad request", str(error)) from error
        opened = operator.restart(
            asked.host, asked.agent, who, forced=asked.force, purpose=purpose, not_before=at
        )
        return models.Restart.of(opened), 202, {"Location": f"/api/v1/restarts/{opened.id}"}


def _add_approving(routes: Routes, operator: Operator) -> None:
    @routes.add(
        Operation(
            "POST",
            "/api/v1/restarts/{id}/approve",
            "Approve a request that waits for a person.",
            TAG,
            Role.OPERATE,
            {200: Answer("The request.", models.Restart)},
            problems=(404, 409),
        )
    )
    def approve(id: str) -> models.Restart:  # noqa: A002 - as above
        return models.Restart.of(operator.decide(id, caller().name, approve=True))


def _add_denying(routes: Routes, services: Services, operator: Operator) -> None:
    @routes.add(
        Operation(
            "POST",
            "/api/v1/restarts/{id}/deny",
            "Deny a request that has not begun, and further ones for a while.",
            TAG,
            Role.OPERATE,
            {200: Answer("The request.", models.Restart)},
            body=Annotated[models.Denying, Keyword("not", {"required": ["until", "for"]})],
            problems=(404, 409),
        )
    )
    def deny(id: str, asked: models.Denying) -> models.Restart:  # noqa: A002 - as above
        try:
            until = parse_end(asked.until, asked.for_, services.clock.now())
        except ValueError as error:
            raise Problem(400, "Bad request", str(error)) from error
        return models.Restart.of(operator.decide(id, caller().name, approve=False, until=until))

    @routes.add(
        Operation(
            "DELETE",
            "/api/v1/denials/{host}/{agent}",
            "Take a denial back: the agent may be restarted again.",
            TAG,
            Role.OPERATE,
            {204: Answer("It is taken back.")},
            problems=(404,),
        )
    )
    def allow(host: str, agent: str) -> tuple[str, int]:
        operator.allow(host, agent, caller().name)
        return "", 204


def _add_summary(routes: Routes, services: Services, since: Query) -> None:
    @routes.add(
        Operation(
            "GET",
            "/api/v1/summary",
            "What was done, and what would have been done in observe mode, by outcome.",
            TAG,
            Role.READ,
            {200: Answer("The counts.", overview.Summary)},
            query=(since,),
        )
    )
    def summary(since: float | None) -> overview.Summary:
        start = services.clock.now() - WEEK_SECONDS if since is None else since
        return overview.summary(services, start)
