"""``memleash-responder`` in a hurry, for tests of what it does by itself after a while.

    python -m tests.support.hurried_responder [the responder's own flags]

Production code knows nothing of this: in this one process sweeps and looks at
controllers come every second, and the first attempt to reconnect a lost host after two.
"""

from __future__ import annotations

import sys

from memleash_responder import cli, process
from memleash_responder.core import reconnects
from memleash_responder.usecases import host_watch


def main() -> int:
    """Run the responder with shorter waits."""
    vars(process)["SWEEP_SECONDS"] = 1.0
    vars(reconnects)["FIRST_SECONDS"] = 2.0
    vars(host_watch)["WATCH_SECONDS"] = 1.0
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
