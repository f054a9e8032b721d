"""``memleashctl``: the responder from the command line, in the manner of amtool and promtool.

main            the group, its flags, completion
config, client  where the responder is and how to speak to it
output          tables and JSON; nothing from outside reaches the terminal raw
fleet, restarts, switches, checks, diagnostics   the commands
"""

from responder.ctl.main import main

__all__ = ["main"]
