"""The collector's end of the hook's mailbox: a memfd of the agent, reached through /proc."""

import json
import os
import re
import time
import typing

from .hook import MAILBOX, REQUEST_BYTES
from .process import Process

LEASE_SECONDS = 30.0
MOST_ANSWER_BYTES = 16 * 1024**2

Answer = typing.Dict[str, typing.Any]


class Request(typing.NamedTuple):
    """What the hook is asked for; a higher round asks for one more look."""

    round: int
    kinds: typing.Tuple[str, ...]
    names: typing.Tuple[str, ...] = ()
    stop: bool = False

    def text(self) -> str:
        """Return it as the hook reads it, with a fresh lease."""
        return json.dumps(dict(self._asdict(), lease_until=time.monotonic() + LEASE_SECONDS))


class Mailbox:
    """An open mailbox. Close it with ``close``."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._request: typing.Optional[Request] = None

    def ask(self, request: Request) -> None:
        """Write ``request``. Raises ValueError when it has no room."""
        self._request = request
        self.renew()

    def renew(self) -> None:
        """Renew the lease of what was asked last."""
        if self._request is not None:
            content = self._request.text().encode()
            if len(content) > REQUEST_BYTES:
                raise ValueError(f"a request of {len(content)} bytes has no room in the mailbox")
            os.pwrite(self._fd, content.ljust(REQUEST_BYTES), 0)

    def stop(self) -> None:
        """Tell the hook to leave."""
        self.ask(Request(0, (), stop=True))

    def answer(self, number: int) -> typing.Optional[Answer]:
        """Return the answer to round ``number``; None when it is not there yet."""
        size = min(os.fstat(self._fd).st_size - REQUEST_BYTES, MOST_ANSWER_BYTES)
        lines = os.pread(self._fd, max(size, 0), REQUEST_BYTES).split(b"\n")[:-1]
        for line in reversed(lines):
            found = json.loads(line.decode())
            if found["round"] == number:
                return typing.cast(Answer, found)
        return None

    def close(self) -> None:
        """Let go of the mailbox; it is gone when the agent has closed it too."""
        os.close(self._fd)


def find(process: Process, name: str) -> typing.Optional[Mailbox]:
    """Return the mailbox called ``name`` in ``process``. Raises OSError when it may not look."""
    for fd in os.listdir(process.path("fd")):
        path = process.path("fd", fd)
        try:
            target = os.readlink(path)
        except FileNotFoundError:
            continue
        if target.startswith(f"/memfd:{name} "):
            return Mailbox(path)
    return None


def hook_signal(process: Process) -> typing.Optional[int]:
    """Return the signal that the agent's own hook answers; None when it has no hook.

    A signal that the agent does not catch would end it: the kernel's word is asked too.
    """
    caught = int(process.status("SigCgt") or "0", 16)
    for fd in os.listdir(process.path("fd")):
        try:
            target = os.readlink(process.path("fd", fd))
        except FileNotFoundError:
            continue
        hook = re.match(rf"/memfd:{MAILBOX}:(\d+) ", target)
        if hook and caught >> (int(hook.group(1)) - 1) & 1:
            return int(hook.group(1))
    return None
