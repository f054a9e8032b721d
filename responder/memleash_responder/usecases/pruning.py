"""What is too old to be kept: requests, alerts, diagnoses, and the engine's own records."""

from __future__ import annotations

from collections.abc import Callable

from memleash_responder import settings
from memleash_responder.adapters.dbos_engine import Durable
from memleash_responder.core.moments import as_datetime
from memleash_responder.usecases.notices import KEPT_SECONDS
from memleash_responder.usecases.services import Services

WORKFLOW_RECORD_SECONDS = 7 * 86400
"""The engine's own records; the history of requests is kept by ``retention``."""


def prunes(services: Services, durable: Durable) -> list[Callable[[], None]]:
    """Return what forgets, each apart, so that one that fails holds up no other."""
    tables = services.tables

    def kept_since() -> float:
        return services.clock.now() - services.settings.retention.age

    def prune_restarts() -> None:
        counted = settings.counted_seconds(services.settings)
        tables.restart_history.prune(
            before=kept_since(),
            keep=services.settings.retention.restarts,
            counted_since=services.clock.now() - counted,
        )

    def prune_alerts() -> None:
        tables.alerts.prune(before=kept_since(), keep=services.settings.retention.alerts)

    def prune_workflows() -> None:
        before = services.clock.now() - WORKFLOW_RECORD_SECONDS
        durable.prune(before=as_datetime(before))

    def prune_notices() -> None:
        tables.notices.prune(before=min(kept_since(), services.clock.now() - KEPT_SECONDS))

    return [
        prune_restarts,
        prune_alerts,
        lambda: tables.diagnoses.prune(before=kept_since()),
        prune_workflows,
        prune_notices,
    ]
