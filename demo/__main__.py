"""`make demo`: starts the stack, tells the story, ends with 0, or with 1 and what went wrong.

python -m demo [--tools stable|newest] [--keep]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import types
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from demo.narration import Narrator, StepFailed
from demo.stack.http import CallFailed
from demo.stack.layout import Layout
from demo.stack.processes import NotInTime, ProgramFailed
from demo.stack.stack import Stack, prepared
from demo.stack.tools import REPOSITORY, ToolMissing, Tools, find
from demo.story import Story

_ENDED_BY_INTERRUPT = 130  # as a shell says it
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the story; the exit code is 0 when every step went as it should, else 1."""
    options = _options(arguments)
    folder = REPOSITORY / f".run/demo-{os.getpid()}"
    try:
        tools = find(options.tools)
    except ToolMissing as missing:
        print(f"demo: {missing}", file=sys.stderr)
        return 1
    for number in _INTERRUPTS:
        signal.signal(number, _interrupt_once)
    try:
        _run(tools, folder, keep=options.keep)
    except KeyboardInterrupt:
        print("\ndemo: interrupted; everything is stopped", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        return _ENDED_BY_INTERRUPT
    except (StepFailed, NotInTime, ProgramFailed, CallFailed) as failure:
        return tell_failure(failure, folder)
    shutil.rmtree(folder)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo", description="memleash's main job, end to end")
    parser.add_argument("--tools", default="stable", choices=("stable", "newest"))
    parser.add_argument("--keep", action="store_true", help="keep the stack up until Ctrl-C")
    return parser.parse_args(arguments)


def _interrupt_once(_number: int, _frame: types.FrameType | None) -> None:
    """End by KeyboardInterrupt, and let nothing interrupt the cleaning up that follows."""
    for number in _INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _run(tools: Tools, folder: Path, *, keep: bool) -> None:
    print(f"memleash's demo on {tools.versions()}; logs and configuration in {folder}")
    narrator = Narrator()
    with prepared(tools, folder) as stack:
        stack.start()
        narrator.say(f"started: the agent, {', '.join(stack.programs)}")
        Story(stack, narrator).tell()
        if keep:
            _keep(stack)


def tell_failure(failure: Exception, folder: Path) -> int:
    """Say what failed, what was expected and seen, and where the logs are; return the exit code."""
    match failure:
        case StepFailed():
            where, expected, seen = failure.step, failure.expected, failure.seen
        case NotInTime():
            where, expected, seen = "the start", failure.expected, failure.seen
        case _:
            where, expected, seen = "a part", "every part to run and answer", failure
    print(
        f"\nFAILED in {where}\n  expected  {expected}\n  seen      {seen}\n"
        f"  logs      {folder / 'logs'} and {folder / 'service'}",
        file=sys.stderr,
    )
    return 1


def _keep(stack: Stack) -> None:
    print("\nKept up until Ctrl-C:")
    for part in ("responder", "prometheus", "alertmanager", "exporter", "blackbox"):
        print(f"   {part:<14} {stack.layout.url(part, '/')}")
    for part, path in {"agent": "/status", "controller": "/calls", "pager": "/pages"}.items():
        print(f"   {part:<14} {stack.layout.url(part, path)}")
    keys = stack.layout.folder / "ssh"
    print(f"   {'sshd':<14} ssh -p {stack.layout.ports.sshd} -i {keys}/login_key \\")
    print(f"   {'':<14}     -o UserKnownHostsFile={keys}/known_hosts 127.0.0.1")
    print("\nTry, in another terminal:")
    for what, command in things_to_try(stack.layout).items():
        print(f"   # {what}\n   {command}")
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        while True:
            signal.pause()


def things_to_try(layout: Layout) -> dict[str, str]:
    """Return shell commands that make the parts do something, by what they do."""
    ctl = f"{Path(sys.executable).with_name('memleashctl')} --url {layout.url('responder')}"
    tasks = layout.url("controller", f"/hosts/{layout.host}/tasks")
    agent = f"{layout.host} {layout.agent}"
    return {
        "let the agent leak 5 MiB a second (0: no more)": (
            f"curl -d '{{\"mib_per_second\": 5}}' {layout.url('agent', '/grow')}"
        ),
        "make it busy, and silent, for 30 seconds": (
            f"curl -d '{{\"seconds\": 30}}' {layout.url('agent', '/dump')}"
        ),
        "give its host a task": f'curl -d \'{{"id": "t1", "name": "my task"}}\' {tasks}',
        "end that task": f"curl -X DELETE {tasks}/t1",
        "see why the agent would or would not be restarted now": f"{ctl} explain {agent}",
        "see what was done": f"{ctl} restarts",
        "find out what leaks": f"{ctl} diagnose {agent}",
    }


if __name__ == "__main__":
    sys.exit(main())
