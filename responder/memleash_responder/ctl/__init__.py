"""``memleashctl``: the responder from the command line, in the manner of amtool and promtool.

main            the group, its flags, completion, and the boundary where errors become exit codes
context         what every command is given
config, client  where the responder is and how to speak to it
errors          what ends a command early, and its exit code
answers         what the responder answers, checked
output          tables and JSON; nothing from outside reaches the terminal raw
hosts, restarts, switches, checks, diagnoses   the commands
"""

import importlib
import signal
import sys


def main() -> None:
    """Run memleashctl and leave with its exit code.

    Ctrl-C ends it at once, also while it is still being imported; there is nothing to put back.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    importlib.import_module("memleash_responder.ctl.output").prepare_streams()
    sys.exit(importlib.import_module("memleash_responder.ctl.main").run())
