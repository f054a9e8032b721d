"""The stacks of an agent's threads, by tools that read them and leave.

py-spy reads Python's frames from outside (process_vm_readv) while the agent runs on. eu-stack of
elfutils attaches to one thread at a time, reads its registers and lets it go; the other threads
run on meanwhile. gdb is not used: it opens the agent's memory for writing, clears debug registers
(PTRACE_POKEUSER) even for a backtrace, and holds all threads for as long as it loads symbols.
"""

from . import tools
from .process import Process

PY_SPY_SECONDS = 30.0
PY_SPY_ATTEMPTS = 3
"""py-spy reads a moving target: a frame that changed under it makes it give up."""
EU_STACK_SECONDS = 20.0
MOST_FRAMES = 60
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
    """Return the native stack of every thread. Raises tools.Refused, Gone."""
    argv = [tools.find("eu-stack"), "-n", str(MOST_FRAMES), "-p", str(process.pid)]
    process.check()
    return tools.run(argv, EU_STACK_SECONDS, exits=(0, _CUT_SHORT))
