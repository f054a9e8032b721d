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
from pathlib import Path

from demo.narration import Narrator, StepFailed
from demo.stack.http import CallFailed
from demo.stack.processes import NotInTime, ProgramFailed
from demo.stack.stack import Stack, prepared
from demo.stack.tools import REPOSITORY, ToolMissing, Tools, find
from demo.story import Story

_ENDED_BY_CTRL_C = 130


def main() -> int:
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt_once)
    folder = REPOSITORY / f".run/demo-{os.getpid()}"
    try:
        code = _run(find(options.tools), folder, keep=options.keep)
    except ToolMissing as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; everything is stopped", file=sys.stderr)
        code = _ENDED_BY_CTRL_C
    if code != 1:
        shutil.rmtree(folder, ignore_errors=True)
    return code


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo", description="memleash's main job, end to end")
    parser.add_argument("--tools", default="stable", choices=("stable", "newest"))
    parser.add_argument("--keep", action="store_true", help="keep the stack up until Ctrl-C")
    return parser.parse_args()


def _interrupt_once(_number: int, _frame: types.FrameType | None) -> None:
    """End by KeyboardInterrupt, and let nothing interrupt the cleaning up that follows."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _run(tools: Tools, folder: Path, *, keep: bool) -> int:
    print(f"memleash's demo on {tools.versions()}; logs and configuration in {folder}")
    narrator = Narrator()
    try:
        with prepared(tools, folder) as stack:
            stack.start()
            narrator.say(f"started: the agent, {', '.join(stack.programs)}")
            Story(stack, narrator).tell()
            if keep:
                _keep(stack)
    except StepFailed as failed:
        return _fail(failed.step, failed.expected, failed.seen, folder)
    except NotInTime as failed:
        return _fail("the start", failed.expected, failed.seen, folder)
    except ProgramFailed as failed:
        return _fail("the start", "every program to run", failed, folder)
    except CallFailed as failed:
        return _fail("a call", "an answer", failed, folder)
    return 0


def _fail(step: str, expected: str, seen: object, folder: Path) -> int:
    print(
        f"\nFAILED in {step}\n  expected  {expected}\n  seen      {seen}\n"
        f"  logs      {folder / 'logs'} and {folder / 'service'}",
        file=sys.stderr,
    )
    return 1


def _keep(stack: Stack) -> None:
    print("\nKept up until Ctrl-C:")
    for part in ("responder", "prometheus", "alertmanager", "exporter", "blackbox"):
        print(f"   {part:<14} {stack.site.url(part, '/')}")
    for part, path in {"agent": "/status", "controller": "/calls", "pager": "/pages"}.items():
        print(f"   {part:<14} {stack.site.url(part, path)}")
    print(f"   {'sshd':<14} ssh -p {stack.site.ports.sshd} -i {stack.site.folder}/ssh/login_key \\")
    print(f"   {'':<14}     -o UserKnownHostsFile={stack.site.folder}/ssh/known_hosts 127.0.0.1")
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
