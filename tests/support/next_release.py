"""``memleash-responder`` of a release with other steps and newer tables, that is in a hurry.

    python -m tests.support.next_release [the responder's own flags]

Production code knows nothing of this: in this process the version of the steps is another one,
the table of restarts has a column more, and abandoned restarts are looked for every second.
"""

from __future__ import annotations

import sys

from memleash_responder import cli, process
from memleash_responder.adapters import dbos_engine as durable
from memleash_responder.adapters.database import migrations
from memleash_responder.usecases import abandoned_restarts


def main() -> int:
    """Be the next release."""
    vars(durable)["STEPS_VERSION"] = vars(process)["STEPS_VERSION"] = "next"
    newest = migrations.NEWEST_VERSION + 1
    added = {newest: ("ALTER TABLE memleash_restarts ADD COLUMN added TEXT",)}
    vars(migrations)["MIGRATIONS"] = {**migrations.MIGRATIONS, **added}
    vars(migrations)["NEWEST_VERSION"] = newest
    vars(process)["SWEEP_SECONDS"] = 1.0
    vars(abandoned_restarts)["QUIET_SECONDS"] = 2.0
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
