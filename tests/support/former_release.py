"""``memleash-responder`` that queues restarts as the release before did, and dies at a point.

    python -m tests.support.former_release die POINT [the responder's own flags]

Production code knows nothing of this: in this process DBOS's queue has the restarts, four looks a
second. The points are those of demo.stack.faulty_responder.
"""

from __future__ import annotations

import sys

from dbos import DBOS

from demo.stack import faulty_responder
from memleash_responder import process
from memleash_responder.adapters.dbos_engine import STEPS_VERSION
from memleash_responder.core.restarts import Restart
from memleash_responder.usecases import restart_workflow
from memleash_responder.usecases.restart_workflow import FORMER_QUEUE, WORKFLOW, RestartWorkflow


def enqueue(self: RestartWorkflow, restart: Restart) -> None:
    """Begin a restart by way of the queue."""
    self._durable.queue(FORMER_QUEUE, concurrency=8, polling_seconds=0.25)
    DBOS.enqueue_workflow_with_options(
        {
            "workflow_name": WORKFLOW,
            "queue_name": FORMER_QUEUE,
            "workflow_id": f"{WORKFLOW}:{restart.attempt_id}",
            "app_version": STEPS_VERSION,
        },
        restart.attempt_id,
    )


def main() -> int:
    """Be the former release, faulty as asked for."""
    vars(process)["FORMER_QUEUE_SECONDS"] = 0.25
    type.__setattr__(restart_workflow.RestartWorkflow, "begin", enqueue)
    return faulty_responder.main()


if __name__ == "__main__":
    sys.exit(main())
