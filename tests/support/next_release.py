"""``memleash-responder`` of a release whose restarts have other steps, and that is in a hurry.

    python -m tests.support.next_release [the responder's own flags]

Production code knows nothing of this: the version of the steps is another one in this process,
and abandoned restarts are looked for every second.
"""

from __future__ import annotations

import sys

from memleash_responder import cli
from memleash_responder.adapters import dbos_engine as durable
from memleash_responder.usecases import restart_end


def main() -> int:
    """Be the next release."""
    vars(durable)["STEPS_VERSION"] = vars(cli)["STEPS_VERSION"] = "next"
    vars(cli)["SWEEP_SECONDS"] = 1.0
    vars(restart_end)["QUIET_SECONDS"] = 2.0
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
