"""The diagnoser's end of the hook's mailbox: a memfd of the agent, reached through /proc."""

import json
import math
import os
import time
import typing

from . import tools
from .hook import REQUEST_BYTES
from .process import Process

LEASE_SECONDS = 30.0
MOST_ANSWER_BYTES = 4 * 1024**2
MOST_LETTERS = 300
MOST_DIGITS = 20
"""Older Pythons take minutes for a number of a million."""

Answer = typing.Dict[str, typing.Any]


class Request(typing.NamedTuple):
    """What the hook is asked for; a higher round asks for one more look."""

    round: int
    kinds: typing.Tuple[str, ...]
    names: typing.Tuple[str, ...] = ()
    stop: bool = False

    def text(self, run: str = "") -> str:
        """Return it as the hook reads it, with a fresh lease; ``run`` comes back in the answer."""
        lease = {"run": run, "lease_until": time.monotonic() + LEASE_SECONDS}
        return json.dumps(dict(self._asdict(), **lease))


def _int(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _whole(value: typing.Any) -> int:
    if not isinstance(value, int):
        raise TypeError("no whole number")
    return value


def _seconds(value: typing.Any) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("no number of seconds")
    return float(value)


def _parsed(line: bytes) -> Answer:
    """Return an answer whose every part has the type that it must have. Raises tools.Refused.

    A mailbox is in the agent's hands: what stands there may be anything.
    """
    try:
        raw = json.loads(line.decode(), parse_int=_int)
        answer: Answer = {
            "run": raw["run"],
            "round": _whole(raw["round"]),
            "seconds": _seconds(raw["seconds"]),
            "notes": [str(note)[:MOST_LETTERS] for note in raw["notes"][:10]],
        }
        for kind in ("types", "sites"):
            if kind in raw:
                answer[kind] = {
                    name[:MOST_LETTERS]: [_whole(count), _whole(size)]
                    for name, (count, size) in raw[kind].items()
                }
        if "containers" in raw:
            answer["containers"] = {
                key[:MOST_LETTERS]: [str(kind)[:MOST_LETTERS], _whole(length)]
                for key, (kind, length) in raw["containers"].items()
            }
        if "names" in raw:
            answer["names"] = {
                key[:MOST_LETTERS]: [holder[:MOST_LETTERS], element[:MOST_LETTERS], _whole(size)]
                for key, (holder, element, size) in raw["names"].items()
            }
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise tools.Refused(f"the hook's answer cannot be understood: {error}") from error
    return answer


class Mailbox:
    """An open mailbox. Close it with ``close``."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._run = os.urandom(8).hex()
        self._request: typing.Optional[Request] = None

    def ask(self, request: Request) -> None:
        """Write ``request``. Raises ValueError when it has no room."""
        self._request = request
        self.renew()

    def renew(self) -> None:
        """Renew the lease of what was asked last."""
        if self._request is not None:
            content = self._request.text(self._run).encode()
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
            found = _parsed(line)
            if (found["run"], found["round"]) == (self._run, number):
                return found
        return None

    def close(self) -> None:
        """Let go of the mailbox; it is gone when the agent has closed it too."""
        os.close(self._fd)


def find(process: Process, name: str) -> typing.Optional[Mailbox]:
    """Return the mailbox called ``name`` in ``process``. Raises OSError when it may not look."""
    for fd in os.listdir(process.path("fd")):
        try:
            held = os.open(process.path("fd", fd), os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            # Held before it is looked at: between the two, a hostile agent could put another file
            # in its place, which the diagnoser, often root, would open and write into.
            path = f"/proc/self/fd/{held}"
            if os.readlink(path).startswith(f"/memfd:{name} "):
                return Mailbox(path)
        finally:
            os.close(held)
    return None
