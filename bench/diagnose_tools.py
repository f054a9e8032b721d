"""Which tool shows, from outside, what a running CPython holds: every tool on every version.

    python bench/diagnose_tools.py --tools VENV/bin PYTHON...

VENV has py-spy, pystack, memray, pyrasite, hypno and debugpy installed; each PYTHON is the
interpreter of an environment to run the target with. Where that environment has memray too,
``memray attach`` is tried with it, otherwise with the one in VENV. Prints a Markdown table: for a
target whose main thread runs and for one whose main thread sleeps for ever, whether the tool told
what was asked of it, in how many seconds, and whether the target lived and worked on.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from memleash_diagnoser import process
from memleash_diagnoser.census import Census

TARGET = """
import sys, threading, time
HELD = []
def remember():
    HELD.append(bytes(1000))
def work(beat):
    while True:
        remember()
        beat.seek(0); beat.write("%010d" % len(HELD)); beat.flush()
        time.sleep(0.005)
beat = open(sys.argv[1], "w")
if sys.argv[2] == "asleep":
    threading.Thread(target=work, args=(beat,), daemon=True).start()
    threading.Event().wait()
work(beat)
"""
TOOL_SECONDS = 30.0
TURN_UP_SECONDS = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A running program that leaks in ``remember``, and where its trials may write."""

    pid: int
    python: Path
    folder: Path
    tools: Path

    def run(self, *argv: object) -> str:
        """Return what a program printed; one that hangs is ended and said nothing."""
        with subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as child:
            try:
                return child.communicate(timeout=TOOL_SECONDS)[0]
            except subprocess.TimeoutExpired:
                child.terminate()
                return ""

    def seen(self) -> Path:
        """Return the file that code inside the target is told to write."""
        return self.folder / "seen"


def _turns_up(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + TURN_UP_SECONDS
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def py_spy(target: Target) -> bool:
    """Stacks: is the function that works on one of them?"""
    return "work (<string>" in target.run(target.tools / "py-spy", "dump", "--pid", target.pid)


def py_spy_native(target: Target) -> bool:
    """The same, with the C frames between."""
    program = target.tools / "py-spy"
    return "work (<string>" in target.run(program, "dump", "--native", "--pid", target.pid)


def pystack(target: Target) -> bool:
    """Stacks too."""
    return " work" in target.run(target.tools / "pystack", "remote", target.pid)


def memray(target: Target) -> bool:
    """Live allocations by site: does its own reader name ``remember``?"""
    own = target.python.parent / "memray"
    program = own if own.exists() else target.tools / "memray"
    capture = target.folder / "capture.bin"
    target.run(program, "attach", "--duration", 2, "-o", capture, target.pid)
    time.sleep(2.5)
    return "remember" in target.run(program, "stats", capture)


def pyrasite(target: Target) -> bool:
    """Code: does it run?"""
    code = target.folder / "code.py"
    code.write_text(f"open({str(target.seen())!r}, 'w').close()\n")
    target.run(target.tools / "pyrasite", target.pid, code)
    return _turns_up(target.seen().exists)


def hypno(target: Target) -> bool:
    """Code: does it run?"""
    code = f"open({str(target.seen())!r}, 'w').close()"
    target.run(target.tools / "hypno", target.pid, code)
    return _turns_up(target.seen().exists)


def debugpy(target: Target) -> bool:
    """A debugger's server: is it loaded and listening?"""
    target.run(target.tools / "debugpy", "--listen", "127.0.0.1:0", "--pid", target.pid)
    fds = Path(f"/proc/{target.pid}/fd")
    return _turns_up(lambda: any("socket:" in str(fd.readlink()) for fd in fds.iterdir()))


def census(target: Target) -> bool:
    """Our own reading: does it name the list that grows?"""
    with contextlib.closing(Census(process.find(target.pid))) as counted:
        longest = list(counted.look(TOOL_SECONDS).containers)
        names = counted.names(longest, TOOL_SECONDS)
    return any(holder == "__main__.HELD" for holder, *_ in names.values())


TRIALS: dict[str, Callable[[Target], bool]] = {
    "py-spy dump": py_spy,
    "py-spy dump --native": py_spy_native,
    "pystack remote": pystack,
    "memray attach": memray,
    "pyrasite": pyrasite,
    "hypno": hypno,
    "debugpy --pid": debugpy,
    "census": census,
}


@contextlib.contextmanager
def running(python: Path, mode: str, tool_folder: Path) -> Iterator[Target]:
    """Run the target as ``mode`` says until it has begun to work; end it afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        beat = Path(folder, "beat")
        with subprocess.Popen(
            [str(python), "-c", TARGET, str(beat), mode], stderr=subprocess.DEVNULL
        ) as child:
            try:
                _turns_up(lambda: _beats(Path(folder)) > 10)
                yield Target(child.pid, python, Path(folder), tool_folder)
            finally:
                child.kill()


def _beats(folder: Path) -> int:
    try:
        return int((folder / "beat").read_text() or 0)
    except (OSError, ValueError):
        return 0


def attempt(python: Path, mode: str, tool_folder: Path, trial: Callable[[Target], bool]) -> str:
    """Return a cell of the table: yes or no, seconds, and what became of the target."""
    with running(python, mode, tool_folder) as target:
        began = time.monotonic()
        try:
            told = trial(target)
        except (process.Gone, OSError):
            told = False
        seconds = time.monotonic() - began
        before = _beats(target.folder)
        works = _turns_up(lambda: _beats(target.folder) > before)
    return f"{'yes' if told else 'no'} {seconds:.1f} s" + ("" if works else " **target stuck**")


def main() -> None:
    """Try all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--only", choices=TRIALS, action="append")
    parser.add_argument("pythons", type=Path, nargs="+")
    options = parser.parse_args()
    version = "import platform; print(platform.python_version())"
    names = [
        subprocess.run([python, "-c", version], capture_output=True, text=True, check=True).stdout
        for python in options.pythons
    ]
    print("| tool | main thread | " + " | ".join(name.strip() for name in names) + " |")
    print("|---|---" + "|---" * len(names) + "|")
    for name in options.only or TRIALS:
        for mode in ("running", "asleep"):
            cells = [
                attempt(python, mode, options.tools, TRIALS[name]) for python in options.pythons
            ]
            print(f"| {name} | {mode} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
