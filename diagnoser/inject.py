"""Ways to have CPython 3.8-3.14 run the hook, none of which needs the agent's help.

Each is a step that only asks; whether it worked is seen by the mailbox turning up. In order:

own hook      the agent's author added it: a signal, no debugger.
remote exec   CPython 3.14 and newer: sys.remote_exec, made for this.
pending call  gdb stops the agent for a moment, maps a few pages (mmap allocates nothing from the
              agent's heap), puts the text there and calls Py_AddPendingCall, which may be called
              at any point, even in malloc. The main thread runs it between two bytecodes.
parked call   the main thread sleeps and will run no bytecode: gdb lends that very thread to
              PyGILState_Ensure. Only when it slept all along, and outside malloc and the loader.
"""

import contextlib
import os
import re
import sys
import tempfile
import time
import typing

from . import postbox, tools
from .debugger import GDB_SECONDS, functions, gdb
from .hook import MAILBOX
from .process import Process

TURN_UP_SECONDS = 5.0
Way = typing.Callable[[Process, str, contextlib.ExitStack], None]
_UNSAFE_FRAME = re.compile(
    r"malloc|calloc|realloc|^c?free$|_int_|arena|tcache|_gil$|^_*dl_|dlopen|mutex_lock|lll_lock"
)
_SYMBOL_MISSING = re.compile(r'No symbol "(Py\w+)"')


def launcher(name: str, request: str) -> str:
    """Return the text that starts the hook in a thread of its own, which compiles it too."""
    hook_path = os.path.join(os.path.dirname(__file__), "hook.py")
    source = _read_source(hook_path) + f"\nbegin({name!r}, {request!r})\n"
    scope = "{'__name__': 'memleash_hook', '__file__': '<string>'}"
    return f"import _thread; _thread.start_new_thread(exec, ({source!r}, {scope}))\n"


def open_mailbox(process: Process, request: postbox.Request) -> typing.Tuple[postbox.Mailbox, str]:
    """Have the hook serve ``request``; return its mailbox and the way that worked.

    Raises tools.Refused with every way's reason when none worked, Gone, or OSError.
    """
    signum = postbox.hook_signal(process)
    if signum is not None:
        return _ask_own_hook(process, signum, request), "own hook"
    name = f"memleash-{os.getpid()}-{int(time.time())}"
    text = launcher(name, request.text())
    reasons: typing.List[str] = []
    for way, attempt in WAYS:
        with contextlib.ExitStack() as until_read:
            try:
                attempt(process, text, until_read)
            except tools.Refused as refusal:
                reasons.append(f"{way}: {refusal}")
                continue
            box = wait_for(process, name)
        if box is not None:
            return box, way
        reasons.append(f"{way}: the agent did not run it within {TURN_UP_SECONDS} s")
    reasons.append("own hook: none; the agent's author can add memleash_hook.py")
    raise tools.Refused("; ".join(reasons))


def _ask_own_hook(process: Process, signum: int, request: postbox.Request) -> postbox.Mailbox:
    box = postbox.find(process, f"{MAILBOX}:{signum}")
    if box is None:
        raise tools.Refused("own hook: it went away")
    box.ask(request)
    process.check()
    os.kill(process.pid, signum)
    return box


def wait_for(process: Process, name: str) -> typing.Optional[postbox.Mailbox]:
    """Return the mailbox called ``name`` once it is there; None when it does not turn up."""
    until = time.monotonic() + TURN_UP_SECONDS
    while time.monotonic() < until:
        process.check()
        box = postbox.find(process, name)
        if box is not None:
            return box
        time.sleep(0.1)
    return None


def version(process: Process) -> typing.Optional[typing.Tuple[int, int]]:
    """Return the CPython version ``process`` runs, as its files are called; None: cannot tell."""
    names = os.readlink(process.path("exe")) + "\n" + process.read("maps")
    found = re.search(r"python(3)\.(\d+)", names)
    return (3, int(found.group(2))) if found else None


def _remote_exec(process: Process, text: str, until_read: contextlib.ExitStack) -> None:
    """Ask through sys.remote_exec, with an interpreter of the agent's own version."""
    wanted = version(process)
    if wanted is None or wanted < (3, 14):
        raise tools.Refused("wants CPython 3.14 or newer")
    python = _same_python(process, wanted)
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=process.path("root", "tmp"), suffix=".py", delete=False
        ) as script:
            until_read.callback(os.unlink, script.name)
            script.write(text)
        os.chmod(script.name, 0o644)
    except OSError as error:
        raise tools.Refused(f"no script can be put into its /tmp: {error}") from error
    seen_as = os.path.join("/tmp", os.path.basename(script.name))
    code = "import sys; sys.remote_exec(int(sys.argv[1]), sys.argv[2])"
    tools.run([*python, "-I", "-c", code, str(process.pid), seen_as], GDB_SECONDS)


def _same_python(process: Process, wanted: typing.Tuple[int, int]) -> typing.List[str]:
    """Return the command of an interpreter of version ``wanted`` that sees pids as we do."""
    if sys.version_info[:2] == wanted:
        return [sys.executable]
    executable = os.readlink(process.path("exe"))
    if os.path.samefile(process.path("root"), "/"):
        return [executable]
    if "\t" in process.status("NSpid"):
        raise tools.Refused("the agent has pids of its own (a container)")
    root = os.readlink(process.path("root"))
    inside = executable[len(root) :] if executable.startswith(root + "/") else executable
    return [tools.find("chroot"), process.path("root"), inside]


def _pending_call(process: Process, text: str, _: contextlib.ExitStack) -> None:
    _gdb_call(
        process,
        text,
        ["print ((int(*)(void*,void*))Py_AddPendingCall)((void*)&PyRun_SimpleString, $text)"],
    )


def _parked_call(process: Process, text: str, _: contextlib.ExitStack) -> None:
    before = _main_thread_switches(process)
    time.sleep(1.0)
    if _main_thread_switches(process) != before:
        raise tools.Refused("the main thread is not asleep")
    stack = gdb(process, ["backtrace 60"], libraries=("libc\\.", "libpython"))
    if any(_UNSAFE_FRAME.search(function) for function in functions(stack)):
        raise tools.Refused("the main thread sleeps where it must not be borrowed")
    if _main_thread_switches(process) - before > 2:  # the attach itself wakes it once
        raise tools.Refused("the main thread is not asleep")
    _gdb_call(
        process,
        text,
        [
            "set $state = ((int(*)(void))PyGILState_Ensure)()",
            "print ((int(*)(void*))PyRun_SimpleString)($text)",
            "call ((void(*)(int))PyGILState_Release)($state)",
        ],
    )


def _main_thread_switches(process: Process) -> int:
    return int(process.status("voluntary_ctxt_switches"))


def _gdb_call(process: Process, text: str, calls: typing.List[str]) -> None:
    """Put ``text`` into the agent's memory and run ``calls``, which find it at $text."""
    with tempfile.NamedTemporaryFile(prefix="memleash-") as file:
        file.write(text.encode() + b"\0")
        file.flush()
        mmap = "((void*(*)(void*,long,int,int,int,long))mmap)"
        room = f"{mmap}(0,{len(text.encode()) + 1},3,0x22,-1,0)"
        commands = [f"set $text = {room}", f"restore {file.name} binary $text"]
        output = gdb(process, [*commands, *calls], libraries=("libc\\.", "libpython"))
    missing = _SYMBOL_MISSING.search(output)
    if missing:
        raise tools.Refused(f"gdb finds no {missing.group(1)} in it: it is not CPython")
    if "$1 = 0" not in output:
        raise tools.Refused(tools.explain("gdb", output))


WAYS: typing.Tuple[typing.Tuple[str, Way], ...] = (
    ("remote exec", _remote_exec),
    ("pending call", _pending_call),
    ("parked call", _parked_call),
)


def _read_source(path: str) -> str:
    """Return this package's own source, from the folder or the zip file it runs from."""
    content: bytes = globals()["__loader__"].get_data(path)
    return content.decode()
