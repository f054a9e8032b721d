"""``memleash-responder`` that kills itself with SIGKILL at a named point of a restart.

    python -m tests.integration.restart.crashing_responder POINT [the responder's own flags]

A point is ``before:`` or ``after:`` and what is done there: a step (``step:hold``, its effects and
not its record), the record of one (``record:hold``, ``record:conclude``) or any effect on the way
(``Hosts.hold``, ``ControllerClients.drain``, ``SshClient.run``, …). Production code knows nothing
of this: what the points name is wrapped, in this process alone.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, cast

from memleash_responder import cli
from memleash_responder.adapters import dbos_engine as durable
from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.adapters.database.hosts import Hosts
from memleash_responder.adapters.database.inbox import Inbox
from memleash_responder.adapters.database.mutes import Mutes
from memleash_responder.adapters.database.restart_commands import RestartCommands
from memleash_responder.adapters.database.restarts import Restarts
from memleash_responder.adapters.ssh.client import SshClient
from memleash_responder.core.outcomes import Step
from memleash_responder.usecases import restart_steps as restart
from memleash_responder.usecases import restart_workflow as workflow
from memleash_responder.usecases.restart_requests import RestartRequests

EFFECTS: tuple[type, ...] = (
    RestartRequests,
    ControllerClients,
    Hosts,
    Inbox,
    Mutes,
    RestartCommands,
    Restarts,
    SshClient,
)


def main() -> int:
    """Wrap what the point names, and run the responder."""
    point, *flags = sys.argv[1:]
    when, _, what = point.partition(":")
    if what.startswith("step:"):
        _wrap_step(when, Step(what.removeprefix("step:")))
    elif what.startswith("record:"):
        _wrap_record(when, what.removeprefix("record:"))
    else:
        owner, _, name = what.partition(".")
        (kind,) = (one for one in EFFECTS if one.__name__ == owner)
        setattr(kind, name, _deadly(when, getattr(kind, name)))
    return cli.main(flags)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def _deadly(when: str, work: Callable[..., Any]) -> Callable[..., Any]:
    def deadly(*args: Any, **options: Any) -> Any:
        if when == "before":
            _die()
        work(*args, **options)
        _die()

    return deadly


def _wrap_step(when: str, step: Step) -> None:
    steps = cast(MutableMapping[Step, Callable[..., Any]], restart.STEPS)
    steps[step] = _deadly(when, steps[step])


def _wrap_record(when: str, name: str) -> None:
    run_step = durable.run_step
    assert when == "after", "before its record is after its step"

    def recorded(step: str, effect: Callable[..., Any], *args: object) -> Any:
        result = run_step(step, effect, *args)
        if step == name:
            _die()
        return result

    vars(workflow)["run_step"] = recorded


if __name__ == "__main__":
    sys.exit(main())
