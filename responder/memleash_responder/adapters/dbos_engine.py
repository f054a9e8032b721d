"""DBOS: workflows whose finished steps are never run again, on SQLite or PostgreSQL.

The application version names the sequence of steps, not the release: replicas of two releases
with the same steps finish each other's work. No admin server, no tracing, nothing hosted.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID
from dbos import Serializer as DbosSerializer
from dbos._utils import INTERNAL_QUEUE_NAME
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from memleash_responder.adapters.database.engine import SqliteConnection
from memleash_responder.errors import DatabaseUnavailable

STEPS_VERSION = "1"
"""To be raised when a workflow's sequence of steps changes."""

UNUSED_POLL_SECONDS = 10.0
"""Between two looks for messages, which nobody sends."""

_PRUNED_AT_ONCE = 1000

_POSTGRESQL = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""A server that is gone is noticed in seconds, and not after minutes, as TCP would. DBOS has no
deadline for a server that is there and hangs; its work waits, the webhook's and the pages' own
connections do not (see database.timed_postgres).
"""

Workflow = Callable[[str], None]
"""A workflow takes the id of what it is about; everything else it reads by itself."""


class _Json(DbosSerializer):
    """Steps give plain JSON: a database is no place for pickles, which run code when read."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=str)

    def deserialize(cls, serialized_data: str) -> Any:  # noqa: N805 - DBOS declares it so
        return json.loads(serialized_data)

    def name(self) -> str:
        return "memleash_json"


class Durable:
    """The one DBOS instance of a process. Build, add workflows and queues, then launch."""

    def __init__(self, url: URL, executor_id: str) -> None:
        """Prepare DBOS on the database ``url`` as the replica ``executor_id``."""
        self.executor_id = executor_id
        plain = url.set(drivername=url.get_backend_name(), query={})
        self._name = plain.render_as_string(hide_password=True)
        # DBOS adds a console handler of its own unless its logger has one; ours is the root's.
        logging.getLogger("dbos").addHandler(logging.NullHandler())
        config = DBOSConfig(
            name="memleash-responder",
            system_database_url=url.render_as_string(hide_password=False),
            application_version=STEPS_VERSION,
            executor_id=executor_id,
            serializer=_Json(),
            log_level="WARNING",
            sys_db_pool_size=10,
            # Workflows send each other no messages here. Listening for some wakes psycopg ten times
            # a second, on a connection of its own; a look for them every 10 s is the least.
            use_listen_notify=False,
            notification_listener_polling_interval_sec=UNUSED_POLL_SECONDS,
        )
        is_postgresql = url.get_backend_name() == "postgresql"
        connect_args = _POSTGRESQL if is_postgresql else {"factory": SqliteConnection}
        config["db_engine_kwargs"] = {"connect_args": dict(connect_args)}
        self._dbos = DBOS(config=config)
        self._workflows: dict[str, Workflow] = {}

    def workflow(self, name: str, body: Workflow) -> None:
        """Register ``body`` under ``name``; call before launch."""

        def run(work_id: str) -> None:  # DBOS marks the function, and a method cannot be marked
            body(work_id)

        marked = DBOS.workflow(name=name, max_recovery_attempts=None)(run)
        self._workflows[name] = marked

    def launch(self) -> None:
        """Start the engine; what this replica left unfinished goes on.

        Raises DatabaseUnavailable when the engine cannot have its own tables.
        """
        dbos_log = logging.getLogger("dbos")
        dbos_log.addFilter(_untold)
        try:
            DBOS.launch()
        except DBAPIError as error:
            why = " ".join(str(error.orig).split())
            raise DatabaseUnavailable(
                f"the database {self._name} cannot be used: its workflow tables: {why}"
            ) from error
        finally:
            dbos_log.removeFilter(_untold)

    def queue(self, name: str, *, concurrency: int, polling_seconds: float) -> None:
        """Work the queue ``name`` of an older release off."""
        DBOS.register_queue(
            name,
            global_concurrency=concurrency,
            polling_interval_sec=polling_seconds,
            on_conflict="always_update",
        )

    def start(self, workflow: str, work_id: str) -> None:
        """Start a workflow in this process; one that was started anywhere is left alone."""
        with SetWorkflowID(f"{workflow}:{work_id}"):
            DBOS.start_workflow(self._workflows[workflow], work_id)

    def has_queue(self, name: str) -> bool:
        """Whether this or an older release created the queue ``name``."""
        return DBOS.retrieve_queue(name) is not None

    def abandoned(
        self, workflow: str, work_ids: Collection[str], versions: Collection[str]
    ) -> set[str]:
        """Return which of ``work_ids`` no engine will ever finish: their workflow is missing,
        has ended, or waits for a version of the steps that is not among the living ``versions``.
        """
        ids = {f"{workflow}:{work_id}": work_id for work_id in work_ids}
        alive = {
            one.workflow_id
            for one in DBOS.list_workflows(
                workflow_ids=list(ids),
                status=["PENDING", "ENQUEUED", "DELAYED"],
                load_input=False,
                load_output=False,
            )
            if one.app_version in versions
        }
        return {work_id for workflow_id, work_id in ids.items() if workflow_id not in alive}

    def cancel(self, workflow: str, work_id: str) -> None:
        """Let nobody take up a workflow again; one that is missing or ended is no matter."""
        DBOS.cancel_workflow(f"{workflow}:{work_id}")

    def take_over(self, executor_ids: list[str]) -> int:
        """Queue again what dead replicas left unfinished, of any version; return how much.

        Raises what the database raises; then it is to be done again.
        """
        # Without DBOS's hosted conductor, recovering another replica's work is the caller's to
        # trigger. DBOS's own entry for it passes over other versions, and over its failures.
        left = DBOS.list_workflows(
            executor_id=executor_ids, status="PENDING", load_input=False, load_output=False
        )
        for one in left:
            self._dbos._sys_db.reenqueue_for_recovery(
                one.workflow_id, executor_ids, one.queue_name or INTERNAL_QUEUE_NAME
            )
        return len(left)

    def prune(self, *, before: datetime) -> None:
        """Delete the records of workflows that ended before a moment."""
        ended = DBOS.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED"],
            completed_before=before.isoformat(),
            limit=_PRUNED_AT_ONCE,
            load_input=False,
            load_output=False,
        )
        if ended:
            DBOS.delete_workflows([one.workflow_id for one in ended])


def _untold(record: logging.LogRecord) -> bool:
    """Leave out what DBOS logs of a failed launch: the error is raised as well, and told there."""
    return record.exc_info is None


def run_step(name: str, effect: Callable[..., Any], *args: object) -> Any:
    """Run ``effect`` as the calling workflow's next step; its JSON result is recorded once."""
    return DBOS.run_step({"name": name}, effect, *args)
