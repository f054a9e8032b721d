"""What the agent offers of its own: a signal with a log, URLs, a command. Asked for, never forced.

Each is bounded in time and size. What fails raises tools.Refused, which becomes a line in the
report. The settings that name them are the operator's; nothing that the agent says changes them.
"""

import contextlib
import functools
import http.client
import os
import socket
import stat
import threading
import time
import typing
import urllib.parse

from . import tools
from .plan import Command, Plan, Signal, signal_number
from .process import Process

MOST_BYTES = 4 * 1024**2
"""Of each answer."""
SIGNAL_SECONDS = 15.0
QUIET_SECONDS = 1.0
"""A log that does not grow for so long after a signal has said all."""
URL_SECONDS = 10.0

Tick = typing.Callable[[], None]
Question = typing.Callable[[Process, Tick], bytes]


def questions(plan: Plan) -> typing.List[typing.Tuple[str, Question]]:
    """Return what to ask the agent for, by name."""
    found: typing.List[typing.Tuple[str, Question]] = []
    if plan.signal is not None:
        found.append(("signal", functools.partial(after_signal, plan.signal)))
    for number, url in enumerate(plan.urls, start=1):
        found.append((f"url-{number}", functools.partial(_at_url, url)))
    if plan.command is not None:
        found.append(("command", functools.partial(_by_command, plan.command)))
    return found


def after_signal(wanted: Signal, process: Process, tick: Tick) -> bytes:
    """Send the signal, if the kernel says that the agent catches it; return its log's new lines.

    1. the log's end is noted; 2. the signal; 3. the log is read on until it is quiet. Rotated
    meanwhile, the rest of the old file comes first. Raises tools.Refused, Gone.
    """
    number = signal_number(wanted.name)
    if not int(process.status("SigCgt") or "0", 16) >> (number - 1) & 1:
        raise tools.Refused(f"it does not catch SIG{wanted.name}, which would end it: not sent")
    with contextlib.ExitStack() as until_read:
        log = _Log(wanted.log, until_read)
        process.check()
        os.kill(process.pid, number)
        until = time.monotonic() + SIGNAL_SECONDS
        grew_at = time.monotonic()
        while time.monotonic() < until:
            tick()
            if log.read_on():
                grew_at = time.monotonic()
            elif log.content and time.monotonic() - grew_at > QUIET_SECONDS:
                break
            time.sleep(0.1)
    if not log.content:
        raise tools.Refused(f"nothing came into {wanted.log} in {SIGNAL_SECONDS:.0f} s")
    return bytes(log.content)


class _Log:
    """A log from its present end on, also when it is rotated: by its inode, not by its name."""

    def __init__(self, path: str, until_read: contextlib.ExitStack) -> None:
        self.content = bytearray()
        self._path = path
        self._until_read = until_read
        self._fd, self._inode = self._open()
        self._offset = os.fstat(self._fd).st_size

    def read_on(self) -> bool:
        """Read what is new; return whether there was any."""
        before = len(self.content)
        self._read()
        with contextlib.suppress(FileNotFoundError):  # between a rename and the new file
            if os.stat(self._path).st_ino != self._inode:
                self._fd, self._inode = self._open()
                self._offset = 0
                self._read()
        return len(self.content) > before

    def _open(self) -> typing.Tuple[int, int]:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise tools.Refused(f"{self._path} cannot be read: {error.strerror}") from error
        self._until_read.callback(os.close, fd)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise tools.Refused(f"{self._path} is no plain file")
        return fd, found.st_ino

    def _read(self) -> None:
        if os.fstat(self._fd).st_size < self._offset:  # emptied in place
            self._offset = 0
        piece = os.pread(self._fd, MOST_BYTES - len(self.content), self._offset)
        self.content += piece
        self._offset += len(piece)


def _at_url(url: str, _: Process, tick: Tick) -> bytes:
    """Return what GET gives. No proxy, no redirect is followed. Raises tools.Refused."""
    parts = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=URL_SECONDS)
    tick()
    with contextlib.closing(connection), _Deadline(URL_SECONDS) as deadline:
        try:
            connection.connect()
            deadline.cuts_off(connection.sock)
            target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
            connection.request("GET", target, headers={"Connection": "close"})
            answer = connection.getresponse()
            content = answer.read(MOST_BYTES + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            deadline.check(url)
            raise tools.Refused(f"{url}: {type(error).__name__}: {error}"[:300]) from error
        deadline.check(url)
    if answer.status != http.client.OK:
        raise tools.Refused(f"{url} answered {answer.status}")
    if len(content) > MOST_BYTES:
        raise tools.Refused(f"{url} is larger than {MOST_BYTES} bytes")
    return content


class _Deadline:
    """Ends a whole exchange, where a socket's own timeout ends only one wait of many."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer = threading.Timer(seconds, self._pass)
        self._has_passed = False
        self._socket: typing.Optional[socket.socket] = None

    def __enter__(self) -> "_Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()

    def cuts_off(self, connected: socket.socket) -> None:
        """Shut ``connected`` down at the deadline, or now."""
        self._socket = connected
        if self._has_passed:
            self._pass()

    def check(self, url: str) -> None:
        """Raise tools.Refused when the deadline has passed."""
        if self._has_passed:
            raise tools.Refused(f"{url} was not done in {self._seconds:.0f} s")

    def _pass(self) -> None:
        self._has_passed = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def _by_command(command: Command, process: Process, tick: Tick) -> bytes:
    """Return what the command printed. Raises tools.Refused."""
    tick()
    argv = [word.replace("{pid}", str(process.pid)) for word in command.argv]
    try:
        return tools.run(argv, command.timeout)
    except OSError as error:
        raise tools.Refused(f"{argv[0]} cannot be run: {error.strerror}") from error
