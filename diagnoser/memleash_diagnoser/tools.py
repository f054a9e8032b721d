"""Runs other programs (eu-stack, py-spy) within limits, and says what to do when they cannot run.

A tool that stops the agent while it works (a ptrace attach) is not niced: its turn on the CPU is
the agent's pause.
"""

import contextlib
import ctypes
import functools
import math
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import typing

MOST_OUTPUT_BYTES = 4 * 1024**2
END_SECONDS = 5.0
"""From SIGTERM to SIGKILL."""
EXTRA_FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin", "/opt/memleash/bin", "~/.local/bin")

INSTALL = {
    "eu-stack": "install elfutils (apt install elfutils, dnf install elfutils)",
    "py-spy": "install py-spy where the SSH user finds it (pip install py-spy)",
}


class Refused(Exception):
    """A tool is missing, was refused, or failed; the message says what to install or set."""


def find(name: str) -> str:
    """Return the path of tool ``name``. Raises Refused with how to install it."""
    folders = [os.path.expanduser(folder) for folder in EXTRA_FOLDERS]
    search = os.pathsep.join([os.environ.get("PATH", ""), *folders])
    found = shutil.which(name, path=search)
    if found is None:
        raise Refused("{} is missing: {}".format(name, INSTALL.get(name, "install it")))
    return found


def run(
    argv: typing.List[str],
    seconds: float,
    *,
    exits: typing.Tuple[int, ...] = (0,),
    ends_itself: bool = False,
) -> bytes:
    """Return what ``argv`` printed, at most MOST_OUTPUT_BYTES. Raises Refused.

    ``exits`` are the exit codes of a tool that did its work. It must be over in ``seconds``; then,
    or when the diagnoser is told to end or dies, it gets SIGTERM, and SIGKILL if it stays on. One
    that ``ends_itself`` is left to it instead, with an alarm of its own, and waited for. The output
    goes to a file, not a pipe: a tool that nobody listens to any more must not stop.
    """
    hurry = functools.partial(_hurry, math.ceil(seconds))
    with open(os.devnull, "rb") as nothing, tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            argv,
            stdin=nothing,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=hurry if ends_itself else _end_with_parent,  # noqa: PLW1509 - no other thread runs by now
            env=dict(os.environ, LC_ALL="C.UTF-8", DEBUGINFOD_URLS="", HOME="/proc/nonexistent"),
        )
        try:
            child.wait(None if ends_itself else seconds)
        except subprocess.TimeoutExpired:
            raise Refused(_late(argv, seconds)) from None
        finally:
            if ends_itself:
                child.wait()
            else:
                _end(child)
        output.seek(0)
        content = output.read(MOST_OUTPUT_BYTES)
    if child.returncode == -signal.SIGALRM:
        raise Refused(_late(argv, seconds))
    if child.returncode not in exits:
        raise Refused(explain(_name(argv), content.decode("utf-8", "replace")))
    return content


def _hurry(seconds: int) -> None:
    """Have a new child end by its alarm, and be first in turn: the agent stands still for it."""
    _unbind_memory()
    signal.alarm(seconds)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)


def _late(argv: typing.List[str], seconds: float) -> str:
    return f"{_name(argv)} was not done in {seconds:.0f} s"


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End ``child`` and what it started: all of its session's group."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError):
            if child.poll() is None:
                os.killpg(child.pid, signum)
            child.wait(END_SECONDS)


_prctl = ctypes.CDLL(None, use_errno=True).prctl
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM to this new child when the diagnoser dies."""
    _unbind_memory()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _unbind_memory() -> None:
    """Take the diagnoser's own bound on memory from a new child."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def explain(name: str, output: str) -> str:
    """Return why tool ``name`` failed and what to set, from what it printed."""
    lowered = output.lower()
    if "operation not permitted" in lowered or "permission denied" in lowered:
        return f"{name} was refused: {ptrace_advice()}"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return "{} failed: {}".format(name, lines[-1][:300] if lines else "it said nothing")


_SCOPE = " (kernel.yama.ptrace_scope is {}, so not even the agent's own user may)"


def ptrace_advice() -> str:
    """Return what keeps this user from tracing and reading the agent, and what to set."""
    scope = ptrace_scope()
    if scope == 3:
        return (
            "kernel.yama.ptrace_scope is 3, which forbids it to everybody, even to root, until the"
            " host boots with a lower value; the agent's hook needs no tracing"
        )
    if os.geteuid() != 0:
        return (
            "this user may not trace the agent; run the diagnoser as root through sudo (python:"
            " sudo -n python3) or give the tool CAP_SYS_PTRACE"
            + (_SCOPE.format(scope) if scope else "")
        )
    return (
        "not even root may trace here: a container needs CAP_SYS_PTRACE, a seccomp filter that"
        " lets ptrace through, and nobody else may trace the agent already"
    )


def ptrace_scope() -> int:
    """Return kernel.yama.ptrace_scope; 0 where the kernel has no Yama."""
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def _name(argv: typing.List[str]) -> str:
    return os.path.basename(argv[0])
