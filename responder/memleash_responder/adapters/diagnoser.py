"""The diagnoser on a host, told over SSH. Every word of it may be said twice.

What a host answers is not trusted: ``parse_answer`` makes it an Answer or refuses it.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
from collections.abc import Callable
from typing import assert_never

from memleash_responder.adapters.diagnoser_program import Plan, Verb, command, packed
from memleash_responder.adapters.reports import BadReport
from memleash_responder.adapters.ssh.client import SshClient
from memleash_responder.core.facts import Host
from memleash_responder.core.outcomes import Outcome
from memleash_responder.core.untrusted import line, number
from memleash_responder.errors import ResponderError
from memleash_toolkit import documents

LEAST_PIECE_BYTES = 4096
"""A piece of a report that is smaller must be the last: crumbs would take for ever."""


class DiagnoserError(ResponderError):
    """The diagnoser could not be run on the host, or answered nonsense; a person must look."""


class State(enum.StrEnum):
    """What a host says of a diagnosis."""

    RUNNING = "running"
    """It goes on."""
    DONE = "done"
    """It ended, and its report lies there."""
    REFUSED = "refused"
    """It was not begun, for a reason."""
    DIED = "died"
    """It ended without a report."""
    UNKNOWN = "unknown"
    """The host knows of no such diagnosis."""
    READ = "read"
    """Here is a piece of the report."""


REFUSALS = {
    str(word): word
    for word in (
        Outcome.AGENT_NOT_FOUND,
        Outcome.ANOTHER_LIFE,
        Outcome.TOO_LARGE,
        Outcome.DISK_FULL,
    )
}
"""The words that the diagnoser refuses with (diagnoser/memleash_diagnoser/collect.py)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a host answered, once it was understood."""

    state: State
    outcome: str = ""
    """Of one that is done: ``complete``, or what cut it short."""
    refusal: Outcome | None = None
    detail: str = ""
    """Why it was refused."""
    piece: bytes = b""
    """Of a report that is read, from the offset asked for on."""
    whole_bytes: int = 0
    """The size of the report that is read."""


def parse_answer(text: str) -> Answer:
    """Return what the diagnoser printed as an Answer. Raises DiagnoserError."""
    try:
        raw = documents.parse_json(text)
    except documents.DocumentError as error:
        raise DiagnoserError(f"the answer {line(str(error))}: {line(text)!r}") from error
    if not isinstance(raw, dict):
        raise DiagnoserError(f"the answer is no object: {line(text)!r}")
    if raw.get("state") == "error":
        raise DiagnoserError(f"it cannot: {line(raw.get('error'))}")
    try:
        state = State(_text(raw, "state"))
    except ValueError as error:
        raise DiagnoserError(f"the answer has no known state: {line(text)!r}") from error
    match state:
        case State.DONE:
            return Answer(state, outcome=_text(raw, "outcome"))
        case State.REFUSED:
            return Answer(state, refusal=_refusal(raw), detail=_text(raw, "detail"))
        case State.READ:
            return Answer(state, piece=_piece(raw), whole_bytes=_whole_bytes(raw))
        case State.RUNNING | State.DIED | State.UNKNOWN:
            return Answer(state)
        case forgotten:
            assert_never(forgotten)


def _text(raw: dict[str, object], name: str) -> str:
    if not isinstance(raw.get(name), str):
        raise DiagnoserError(f"the answer has no text as its {name}")
    return line(raw[name])


def _refusal(raw: dict[str, object]) -> Outcome:
    reason = _text(raw, "reason")
    if reason not in REFUSALS:
        raise DiagnoserError(f"it refuses with the unknown word {reason!r}")
    return REFUSALS[reason]


def _piece(raw: dict[str, object]) -> bytes:
    data = raw.get("data")
    try:
        return base64.b64decode(data if isinstance(data, str) else "?", validate=True)
    except ValueError as error:
        raise DiagnoserError(f"a piece of the report cannot be read: {error}") from error


def _whole_bytes(raw: dict[str, object]) -> int:
    size = number(raw.get("bytes"))
    if size is None or size < 0 or size != int(size):
        raise DiagnoserError("the report's size is no whole number")
    return int(size)


_REQUIRETTY = (
    "sudoers has requiretty, and a diagnosis never has a terminal: set `Defaults:USER !requiretty`"
)


class Diagnoser:
    """Runs the diagnoser's verbs on hosts."""

    def __init__(
        self, ssh: SshClient, seconds_left: Callable[[], float | None] = lambda: None
    ) -> None:
        """``seconds_left`` bounds each command; None: by the SSH settings."""
        self._ssh = ssh
        self._seconds_left = seconds_left

    def tell(self, host: Host, verb: Verb, plan: Plan, python: str, *arguments: str) -> Answer:
        """Return the diagnoser's answer to ``verb``. Raises SshError or DiagnoserError."""
        result = self._ssh.run(
            host,
            command(verb, plan, python, *arguments),
            stdin=packed() if verb is Verb.START else None,
            timeout_seconds=self._seconds_left(),
        )
        try:
            return parse_answer(result.stdout)
        except DiagnoserError as error:
            said = line((result.stderr or result.stdout).strip()[-300:]) or "it said nothing"
            hint = f"; {_REQUIRETTY}" if result.lacked_terminal else ""
            raise DiagnoserError(
                f"{host.name}: {python} ended with exit code {result.exit_code} for"
                f" {verb.value}, and {error}; {said}{hint}"
            ) from error

    def fetch(self, host: Host, plan: Plan, python: str) -> bytes:
        """Return the report's tar.gz. Raises SshError, DiagnoserError or BadReport."""
        content = b""
        while True:
            answer = self.tell(host, Verb.READ, plan, python, str(len(content)))
            if answer.state is not State.READ:
                raise BadReport(f"the host says {answer.state} instead of giving it")
            content += answer.piece
            if max(answer.whole_bytes, len(content)) > plan.max_report_bytes:
                raise BadReport(f"its tar is larger than {plan.max_report_bytes} bytes")
            if len(content) >= answer.whole_bytes:
                return content
            if len(answer.piece) < LEAST_PIECE_BYTES:
                raise BadReport("its tar ends early, or comes in crumbs")
