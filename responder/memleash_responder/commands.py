"""The installed commands. On a host that has the exporter alone they say what is missing.

An installation has the commands of the whole distribution, also where it lacks what the responder
needs: pip cannot leave them out.
"""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

_OURS = "memleash_"


def responder() -> NoReturn:
    """Run ``memleash-responder``."""
    _run("memleash-responder", "memleash_responder.cli")


def ctl() -> NoReturn:
    """Run ``memleashctl``."""
    _run("memleashctl", "memleash_responder.ctl")


def _run(program: str, module: str) -> NoReturn:
    try:
        main = importlib.import_module(module).main
        sys.exit(main())
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(_OURS):
            raise
        sys.exit(
            f"{program}: {error.name} is not installed, and this host has the exporter alone:"
            " pip install 'memleash[responder]'"
        )
