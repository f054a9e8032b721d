"""``memleash-busy``: holds a busy marker around a command.

The marker names this process, so that it stops counting when this process is killed outright.
Exit codes are the command's own; 125 when the marker cannot be placed (the command is not run:
it would be interrupted), 126 and 127 when the command cannot be run, as with env(1).

A signal that the caller ignores (nohup, a shell's background job) stays ignored, here and in the
command: what the caller protects from a hangup or from Ctrl-C is protected as a whole.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from memleash_exporter.adapters.processes import Processes
from memleash_exporter.decisions.markers import MAX_AGE_SECONDS
from memleash_exporter.settings import BUSY_MARKERS_DIRECTORY, CONFIG_FILE, Settings
from memleash_toolkit import VERSION
from memleash_toolkit.settings import ConfigError, load
from memleash_toolkit.units import parse_duration
from memleash_toolkit.values import NAME

DIRECTORY_VARIABLE = "MEMLEASH_BUSY_DIRECTORY"

_TOUCH_SECONDS = MAX_AGE_SECONDS / 12
_SI_KERNEL = 0x80  # sigaction(2); the signal module does not name it
_PASSED_ON = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with a marker held; return its exit code."""
    flags = _flags(arguments)
    _warn_of_unknown(flags.agent, flags.config_file)
    with contextlib.ExitStack() as stack:
        try:
            marker = stack.enter_context(_held(flags))
        except OSError as error:
            return _refuse(125, f"cannot place a marker in {error.filename}: {error.strerror}")
        code = _run(flags.command, marker)
    if code < 0:  # it was killed by a signal: end in the same way, so that our caller sees it
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _warn_of_unknown(agent: str, config_file: Path) -> None:
    """Say so when the exporter of this host does not know ``agent``: nobody sees the marker then.

    The command is run all the same: the agent may come into the configuration meanwhile. A file
    that is not there, or not for us to read, says nothing.
    """
    try:
        known = [one.name for one in load(Settings, config_file).agents]
    except ConfigError:
        return
    if agent not in known:
        _say(f"warning: {config_file} has no agent {agent!r}; it has {', '.join(known) or 'none'}")


@contextlib.contextmanager
def _held(flags: argparse.Namespace) -> Iterator[Path]:
    """Place the marker, in one piece, and take it away in the end. Raises OSError."""
    directory = flags.directory / flags.agent
    directory.mkdir(parents=True, exist_ok=True)
    start_ticks = Processes(Path("/proc")).get(os.getpid()).start_ticks()
    content: dict[str, object] = {
        "reason": flags.reason,
        "pid": os.getpid(),
        "pid_start_ticks": start_ticks,
    }
    if flags.seconds is not None:
        content["expires_at"] = round(time.time() + flags.seconds, 3)
    marker = directory / f"{os.getpid()}-{start_ticks}.json"
    unfinished = directory / f".{marker.name}"
    try:
        unfinished.write_text(json.dumps(content), encoding="utf-8")
        unfinished.rename(marker)
        yield marker
    finally:
        for file in (unfinished, marker):
            with contextlib.suppress(OSError):
                file.unlink()


def _run(command: Sequence[str], marker: Path) -> int:
    """Run ``command`` and return its exit code, or minus the number of the signal that ended it.

    1. Holds signals back, but those that our caller ignores (nohup), and waits for them one by
       one: none is lost, whether it comes before the command starts or between two looks.
    2. Passes each on to the command, and keeps the marker young between them.
    3. Lets signals through again.
    """
    passed_on = {number for number in _PASSED_ON if signal.getsignal(number) != signal.SIG_IGN}
    former = signal.pthread_sigmask(signal.SIG_BLOCK, passed_on | {signal.SIGCHLD})
    try:
        process = subprocess.Popen(  # noqa: S603 - the caller's own words, and no shell
            command,
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, former),  # noqa: PLW1509 - we have one thread
        )
        while process.poll() is None:
            received = signal.sigtimedwait(passed_on | {signal.SIGCHLD}, _TOUCH_SECONDS)
            if received is None:
                _touch(marker)
            elif received.si_signo != signal.SIGCHLD and not _from_terminal(received):
                process.send_signal(received.si_signo)
    except FileNotFoundError:
        return _refuse(127, f"{command[0]}: not found")
    except OSError as error:
        return _refuse(126, f"{command[0]}: {error.strerror}")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
    return process.returncode


def _from_terminal(received: signal.struct_siginfo) -> bool:
    """Return whether the kernel sent it (Ctrl-C), and so has sent it to the command as well."""
    return received.si_code == _SI_KERNEL


def _touch(marker: Path) -> None:
    """Keep the marker young: it holds as long as the command runs, or until it expires."""
    with contextlib.suppress(OSError):
        os.utime(marker)


def _refuse(code: int, problem: str) -> int:
    _say(problem)
    return code


def _say(line: str) -> None:
    print(f"memleash-busy: {line}", file=sys.stderr)  # noqa: T201 - a command line's answer


def _flags(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="memleash-busy",
        usage="%(prog)s AGENT [--reason TEXT] [--for DURATION] [--directory DIR] -- COMMAND ...",
        description="Holds an agent busy while a command runs.",
        epilog="Signals are passed on to the command. One that was ignored when this was started "
        "(nohup, a background job of a shell) stays ignored, by the command too.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"memleash-busy {VERSION}")
    parser.add_argument("agent", metavar="AGENT", type=_agent, help="the agent's name")
    parser.add_argument("--reason", default="", help="why, for people")
    parser.add_argument(
        "--for",
        dest="seconds",
        type=_duration,
        metavar="DURATION",
        help="end the marker after this long, even if the command still runs (default: at its end)",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(os.environ.get(DIRECTORY_VARIABLE) or BUSY_MARKERS_DIRECTORY),
        metavar="DIR",
        help=f"the exporter's busy_markers_directory (default: ${DIRECTORY_VARIABLE}, "
        f"else {BUSY_MARKERS_DIRECTORY})",
    )
    parser.add_argument(
        "--config.file",
        dest="config_file",
        type=Path,
        default=CONFIG_FILE,
        metavar="FILE",
        help="the exporter's configuration; warns when it can be read and does not name the agent "
        "(default: %(default)s)",
    )
    # Not argparse's: it drops every "--", and the command may have some of its own.
    words = list(sys.argv[1:] if arguments is None else arguments)
    end = words.index("--") if "--" in words else len(words)
    flags = parser.parse_args(words[:end])
    flags.command = words[end + 1 :]
    if not flags.command:
        parser.error("a command is required, after --")
    return flags


def _agent(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an agent's name")
    return text


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from error


if __name__ == "__main__":
    raise SystemExit(main())
