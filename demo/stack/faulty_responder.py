"""``memleash-responder`` that stops at a named point: it kills itself there, or halts.

    python -m demo.stack.faulty_responder die POINT [the responder's own flags]
    python -m demo.stack.faulty_responder halt:FOLDER POINT [the responder's own flags]

One that dies sends itself SIGKILL. One that halts makes the file FOLDER/halted and goes on once
FOLDER/go is there; it halts once.

A point is ``before:`` or ``after:`` and what is done there: a step (``step:hold``, its effects and
not its record), the record of one (``record:hold``, ``record:conclude``), ``last-look`` (before the
command is sent: all is looked at and noted) or any effect on the way (``Hosts.hold``,
``ControllerClients.drain``, ``SshClient.run``, …). Production code knows nothing of this: what the
points name is wrapped, in this process alone.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, cast

from memleash_responder import cli
from memleash_responder.adapters import dbos_engine as durable
from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.adapters.database.hosts import Hosts
from memleash_responder.adapters.database.inbox import Inbox
from memleash_responder.adapters.database.mutes import Mutes
from memleash_responder.adapters.database.restarts import Restarts
from memleash_responder.adapters.database.sent_commands import SentCommands
from memleash_responder.adapters.ssh.client import SshClient
from memleash_responder.core.steps import Step
from memleash_responder.usecases import restart_steps as restart
from memleash_responder.usecases import restart_workflow as workflow
from memleash_responder.usecases.restart_requests import RestartRequests
from memleash_responder.usecases.restart_workflow import RestartWorkflow

EFFECTS: tuple[type, ...] = (
    RestartRequests,
    RestartWorkflow,
    ControllerClients,
    Hosts,
    Inbox,
    Mutes,
    SentCommands,
    Restarts,
    SshClient,
)

Work = Callable[..., Any]
Stop = Callable[[], None]


def main() -> int:
    """Wrap what the point names, and run the responder."""
    how, point, *flags = sys.argv[1:]
    stop = _die if how == "die" else _halting(Path(how.removeprefix("halt:")))
    when, _, what = point.partition(":")
    _wrap(what, lambda work: _stopping(when, work, stop))
    return cli.main(flags)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def _halting(folder: Path) -> Stop:
    def halt() -> None:
        halted = folder / "halted"
        if halted.exists():
            return
        halted.touch()
        while not (folder / "go").exists():
            time.sleep(0.01)

    return halt


def _stopping(when: str, work: Work, stop: Stop) -> Work:
    """Return ``work`` that stops before or after it is done."""

    def stopping(*args: Any, **options: Any) -> Any:
        if when == "before":
            stop()
        done = work(*args, **options)
        if when == "after":
            stop()
        return done

    return stopping


def _wrap(what: str, wrapped: Callable[[Work], Work]) -> None:
    """Put in place of what a point names the same, ``wrapped``."""
    kind, _, name = what.partition(":")
    if kind == "step":
        steps = cast(MutableMapping[Step, Work], restart.STEPS)
        steps[Step(name)] = wrapped(steps[Step(name)])
    elif kind == "record":
        _wrap_record(name, wrapped)
    elif kind == "last-look":
        _wrap_last_look(wrapped)
    else:
        owner, _, name = what.partition(".")
        (effects,) = (one for one in EFFECTS if one.__name__ == owner)
        setattr(effects, name, wrapped(getattr(effects, name)))


def _wrap_record(name: str, wrapped: Callable[[Work], Work]) -> None:
    run_step = durable.run_step
    stopping = wrapped(run_step)

    def recorded(step: str, effect: Work, *args: object) -> Any:
        return (stopping if step == name else run_step)(step, effect, *args)

    vars(workflow)["run_step"] = recorded


def _wrap_last_look(wrapped: Callable[[Work], Work]) -> None:
    run = SshClient.run

    def stopping_run(self: SshClient, *args: Any, **options: Any) -> Any:
        if "before_command" in options:
            options["before_command"] = wrapped(options["before_command"])
        return run(self, *args, **options)

    SshClient.run = stopping_run  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(main())
