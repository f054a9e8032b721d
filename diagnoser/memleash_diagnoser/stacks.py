"""The stacks of an agent's threads, by tools that read them and leave.

py-spy reads Python's frames from outside (process_vm_readv) while the agent runs on. eu-stack of
elfutils attaches to one thread at a time, reads its registers and lets it go; the other threads
run on meanwhile. gdb is not used: it opens the agent's memory for writing, clears debug registers
(PTRACE_POKEUSER) even for a backtrace, and holds all threads for as long as it loads symbols.
"""

import contextlib
import os
import signal
import time

from . import tools
from .process import Process

PY_SPY_SECONDS = 30.0
PY_SPY_ATTEMPTS = 3
"""py-spy reads a moving target: a frame that changed under it makes it give up."""
EU_STACK_SECONDS = 20.0
MOST_FRAMES = 60
STOP_SECONDS = 0.1
"""Within which a SIGSTOP that is on its way has arrived."""
_CUT_SHORT = 1
"""The exit code of eu-stack that printed all but the frames that it could not unwind."""


def of_python(process: Process, *, with_locals: bool) -> bytes:
    """Return the Python stack of every thread. Raises tools.Refused, Gone."""
    argv = [tools.find("py-spy"), "dump", "--nonblocking", "--pid", str(process.pid)]
    argv += ["--locals"] * with_locals
    for _ in range(PY_SPY_ATTEMPTS - 1):
        process.check()
        try:
            return tools.run(argv, PY_SPY_SECONDS)
        except tools.Refused:
            continue
    return tools.run(argv, PY_SPY_SECONDS)


def of_native(process: Process) -> bytes:
    """Return the native stack of every thread. Raises tools.Refused, Gone.

    eu-stack is never ended in the middle, not even when the diagnoser is: it takes some 0.1 s and
    has an alarm. Killed by somebody else between the SIGSTOP that attaches it and the agent's stop,
    it would leave the agent stopped (2 times in 100): then the agent is told to go on.
    """
    argv = [tools.find("eu-stack"), "-n", str(MOST_FRAMES), "-p", str(process.pid)]
    was_stopped = _is_stopped(process)
    try:
        return tools.run(argv, EU_STACK_SECONDS, exits=(0, _CUT_SHORT), ends_itself=True)
    except BaseException:
        until = time.monotonic() + STOP_SECONDS
        while not was_stopped and time.monotonic() < until:
            if _is_stopped(process):
                os.kill(process.pid, signal.SIGCONT)
            time.sleep(0.01)
        raise


def _is_stopped(process: Process) -> bool:
    """Return whether a thread is stopped by a signal; traced it is not, once the tool is gone."""
    states = set()
    for task in os.listdir(process.path("task")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            states.add(process.read("task", task, "stat").rpartition(")")[2].split()[0])
    return "T" in states
