"""``memleash-responder`` that halts at a named point of a restart, for tests to kill or freeze.

    python -m tests.support.halting_responder POINT FOLDER [the responder's own flags]

Points are ``before-STEP`` (nothing of the step is done), ``after-STEP`` (its effect is there, its
record is not) and ``before-exec`` (all is looked at and noted, the command is not sent). At the
point the file FOLDER/halted appears, and nothing goes on until FOLDER/go does. It halts once.
Production code knows nothing of this: the steps of this one process are wrapped from outside.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from memleash_responder import cli
from memleash_responder.adapters.ssh.client import SshClient
from memleash_responder.core.outcomes import Step
from memleash_responder.usecases import restart_steps as restart


class _Halt:
    """The point at which this process halts."""

    def __init__(self, point: str, folder: Path) -> None:
        self._point = point
        self._halted, self._go = folder / "halted", folder / "go"

    def reached(self, point: str) -> None:
        """Halt if ``point`` is it."""
        if point != self._point or self._halted.exists():
            return
        self._halted.touch()
        while not self._go.exists():
            time.sleep(0.01)


def main() -> int:
    """Wrap the steps and run the responder."""
    point, folder, *flags = sys.argv[1:]
    halt = _Halt(point, Path(folder))
    steps = cast(dict[Step, Callable[..., Any]], restart.STEPS)
    for step, work in list(steps.items()):
        steps[step] = _wrapped(step, work, halt)
    run = SshClient.run

    def halting_run(self: SshClient, *args: Any, **options: Any) -> Any:
        before_command = options.pop("before_command")

        def then_halt() -> None:
            before_command()
            halt.reached("before-exec")

        return run(self, *args, before_command=then_halt, **options)

    SshClient.run = halting_run  # type: ignore[method-assign]
    return cli.main(flags)


def _wrapped(step: Step, work: Callable[..., Any], halt: _Halt) -> Callable[..., Any]:
    def halting(*args: Any) -> Any:
        halt.reached(f"before-{step}")
        made = work(*args)
        halt.reached(f"after-{step}")
        return made

    return halting


if __name__ == "__main__":
    sys.exit(main())
