"""The ways to count what lives in a CPython agent; none is forced on it. The first that works:

own hook      the agent's author, or its environment, has the hook (hook.py): exact.
remote exec   sys.remote_exec of CPython 3.14, where the settings allow it: exact. It writes the
              path of a script into the agent and sets a flag there, by CPython's own interface.
census        the diagnoser's own reading of the agent's memory (census.py): close, and it says
              how sure it is. It needs nothing of the agent.
"""

import abc
import contextlib
import os
import re
import sys
import tempfile
import time
import typing

from . import mailbox, tools
from .census import Census
from .hook import MAILBOX
from .niced import niced
from .plan import Plan
from .process import Process

ANSWER_SECONDS = 300.0
HEARS_SECONDS = 20.0
"""How long the agent's next garbage collection is waited for."""
TURN_UP_SECONDS = 5.0
REMOTE_EXEC_SECONDS = 30.0
CENSUS_SHARE = 0.7
"""Of the CPU time that the diagnoser may take; the rest is for all else."""

Tick = typing.Callable[[], None]
"""Called about every second: renews the busy marker, and ends the run by raising."""


class Counting(abc.ABC):
    """One way at work. Its looks are the hook's answers (hook.py), and ``sure``: whether exact."""

    way: str

    @abc.abstractmethod
    def look(self, kinds: typing.Tuple[str, ...], tick: Tick) -> mailbox.Answer:
        """Return one look at all of ``kinds``. Raises tools.Refused, and what ``tick`` raises."""

    @abc.abstractmethod
    def names(self, wanted: typing.Tuple[str, ...], tick: Tick) -> mailbox.Answer:
        """Return who holds the containers ``wanted``. Raises like look."""

    @abc.abstractmethod
    def renew(self) -> None:
        """Say that we are still there."""

    @abc.abstractmethod
    def close(self) -> None:
        """Leave nothing behind in the agent."""


class _Asking(Counting):
    """A hook that answers in rounds through its mailbox."""

    def __init__(self, way: str, box: mailbox.Mailbox) -> None:
        self.way = way
        self._box = box
        self._rounds = 0

    def look(self, kinds: typing.Tuple[str, ...], tick: Tick) -> mailbox.Answer:
        return dict(self._answer(kinds, (), tick), sure=True)

    def names(self, wanted: typing.Tuple[str, ...], tick: Tick) -> mailbox.Answer:
        return self._answer((), wanted, tick)

    def renew(self) -> None:
        self._box.renew()

    def close(self) -> None:
        self._box.stop()
        self._box.close()

    def _answer(
        self, kinds: typing.Tuple[str, ...], names: typing.Tuple[str, ...], tick: Tick
    ) -> mailbox.Answer:
        self._rounds += 1
        self._box.ask(mailbox.Request(self._rounds, kinds, names))
        until = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < until:
            answer = self._box.answer(self._rounds)
            if answer is not None:
                return answer
            tick()
            self.renew()
            time.sleep(0.25)
        raise tools.Refused(f"the hook gave no answer in {ANSWER_SECONDS:.0f} s")


class _Reading(Counting):
    """The census, at the lowest priority; the agent runs on and knows nothing of it."""

    way = "census"

    def __init__(self, process: Process, plan: Plan) -> None:
        """Raises tools.Refused, Gone."""
        self._census = Census(process)
        self._seconds = plan.max_cpu_seconds * CENSUS_SHARE / (plan.rounds + 2)

    def look(self, kinds: typing.Tuple[str, ...], tick: Tick) -> mailbox.Answer:
        tick()
        found = niced(lambda: self._census.look(self._seconds))
        notes = list(found.notes)
        if "sites" in kinds:
            notes.append("sites: a census does not tell them; the hook does")
        return {
            "types": found.types,
            "containers": found.containers,
            "notes": notes,
            "seconds": found.seconds,
            "sure": found.is_sure,
        }

    def names(self, wanted: typing.Tuple[str, ...], tick: Tick) -> mailbox.Answer:
        tick()
        began = time.monotonic()
        found = niced(lambda: self._census.names(wanted, self._seconds))
        return {"names": found, "seconds": round(time.monotonic() - began, 3)}

    def renew(self) -> None:
        """Nobody waits for it."""

    def close(self) -> None:
        self._census.close()


def begin(process: Process, plan: Plan, tick: Tick) -> typing.Tuple[Counting, typing.List[str]]:
    """Return the best way of counting that works, and a line for each that was tried before it.

    Raises tools.Refused with every way's reason when none works, and Gone.
    """
    reasons: typing.List[str] = []
    for way, attempt in _WAYS:
        try:
            return attempt(process, plan, tick), reasons
        except (tools.Refused, PermissionError) as refusal:
            reasons.append(f"{way}: {refusal}")
    raise tools.Refused("; ".join(reasons))


def _own_hook(process: Process, _: Plan, tick: Tick) -> Counting:
    """Ask the agent's own hook, and wait until its next garbage collection has it hear."""
    own_pid = process.status("NSpid").split()[-1:] or [str(process.pid)]
    try:
        box = mailbox.find(process, f"{MAILBOX}:{own_pid[0]}")
    except PermissionError as error:
        raise tools.Refused(
            "only root and the agent's own user may see whether it has one"
        ) from error
    if box is None:
        raise tools.Refused("the agent has none (docs/diagnoses.md says how it comes to one)")
    box.ask(mailbox.Request(0, ()))
    until = time.monotonic() + HEARS_SECONDS
    while time.monotonic() < until:
        if box.answer(0) is not None:
            return _Asking("own hook", box)
        tick()
        box.renew()
        time.sleep(0.1)
    box.stop()
    box.close()
    raise tools.Refused(f"it did not hear: no garbage collection in {HEARS_SECONDS:.0f} s")


def _remote_exec(process: Process, plan: Plan, _: Tick) -> Counting:
    """Ask through sys.remote_exec, with an interpreter of the agent's own version."""
    if not plan.remote_exec:
        raise tools.Refused("not allowed by the settings (remote_exec)")
    wanted = version(process)
    if wanted is None or wanted < (3, 14):
        raise tools.Refused("wants CPython 3.14 or newer")
    python = _same_python(process, wanted)
    name = f"memleash-{os.getpid()}-{int(time.time())}"
    text = _launcher(name, mailbox.Request(0, ()).text())
    with contextlib.ExitStack() as until_read:
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
        tools.run([*python, "-I", "-c", code, str(process.pid), seen_as], REMOTE_EXEC_SECONDS)
        return _Asking("remote exec", _wait_for(process, name))


def _launcher(name: str, request: str) -> str:
    """Return the text that starts the hook in a thread of its own, which compiles it too.

    Under eventlet or gevent it starts nothing: their threads would hold up all the others.
    """
    hook_path = os.path.join(os.path.dirname(__file__), "hook.py")
    source = _read_source(hook_path) + f"\nbegin({name!r}, {request!r})\n"
    scope = "{'__name__': 'memleash_hook', '__file__': '<string>'}"
    return (
        "import _thread, time\n"
        "if all(isinstance(f, type(len)) for f in (_thread.start_new_thread, time.sleep)):\n"
        f"    _thread.start_new_thread(exec, ({source!r}, {scope}))\n"
    )


def _wait_for(process: Process, name: str) -> mailbox.Mailbox:
    until = time.monotonic() + TURN_UP_SECONDS
    while time.monotonic() < until:
        process.check()
        box = mailbox.find(process, name)
        if box is not None:
            return box
        time.sleep(0.1)
    raise tools.Refused(f"the agent did not run it within {TURN_UP_SECONDS} s")


def version(process: Process) -> typing.Optional[typing.Tuple[int, int]]:
    """Return the CPython version ``process`` runs, as its files are called; None: cannot tell."""
    names = os.readlink(process.path("exe")) + "\n" + process.read("maps")
    found = re.search(r"python([23])\.(\d+)", names)
    return (int(found.group(1)), int(found.group(2))) if found else None


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


def _read_source(path: str) -> str:
    """Return this package's own source, from the folder or the zip file it runs from."""
    content: bytes = globals()["__loader__"].get_data(path)
    return content.decode()


def _census(process: Process, plan: Plan, _: Tick) -> Counting:
    return _Reading(process, plan)


_WAYS: typing.Tuple[typing.Tuple[str, typing.Callable[[Process, Plan, Tick], Counting]], ...] = (
    ("own hook", _own_hook),
    ("remote exec", _remote_exec),
    ("census", _census),
)
