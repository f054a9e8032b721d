"""Commands over SSH: run once, seen to their end, within deadlines.

The session is Fabric's (connection.py), and so is the command: ``Connection.run``. What Invoke's
runner leaves open is closed in ``_Runner``, which names the test of each.
"""

from __future__ import annotations

import codecs
import contextlib
import dataclasses
import functools
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import fabric.runners
import paramiko

from memleash_responder.adapters.ssh.client import CommandResult
from memleash_responder.adapters.ssh.connection import closing_after, connected
from memleash_responder.core.facts import Host
from memleash_responder.errors import CommandLost, SshUnreachable
from memleash_responder.settings import Ssh

MAX_OUTPUT_BYTES = 64 * 1024
"""Kept of each of stdout and stderr; the rest is read and thrown away."""
_OUTPUT_GRACE_SECONDS = 0.5
_CHUNK_BYTES = 64 * 1024
_LINE_ENDS = (OSError, EOFError, paramiko.SSHException)
"""What paramiko raises where a connection is closed while something is read or written."""


def run(
    settings: Ssh,
    host: Host,
    command: str,
    *,
    timeout_seconds: float | None,
    before_command: Callable[[], None],
    stdin: bytes | None,
) -> CommandResult:
    """Do what ``SshClient.run`` promises."""
    seconds = settings.command_timeout if timeout_seconds is None else timeout_seconds
    sent = _Sent(host.name, before_command, seconds)
    runner = functools.partial(_Runner, sent=sent)
    with connected(settings, host, runner) as connection, sent.until_deadline:
        try:
            result = connection.run(
                command,
                hide=True,
                warn=True,
                pty=settings.pty and stdin is None,
                in_stream=io.BytesIO(stdin or b""),
            )
            _check_exit_status(result)
        except _LINE_ENDS as error:
            why = str(error) or type(error).__name__
            if sent.at is None:
                raise SshUnreachable(_no_channel(settings, host, why)) from error
            raise CommandLost(
                f"{host.name}: the command was sent and its end not seen within {seconds:g} s: "
                f"{why}; it may still run: look at the host"
            ) from error
    return sent.result(result)


def _no_channel(settings: Ssh, host: Host, why: str) -> str:
    seconds = settings.connect_timeout
    hint = ", and give a key with `restrict` also `pty`" if settings.pty else ""
    return (
        f"{host.name}: sshd opened no channel within {seconds:g} s: {why}; "
        f"look at its MaxSessions and its log{hint}"
    )


def _check_exit_status(result: fabric.Result) -> None:
    if result.exited < 0:
        raise EOFError("it ended without an exit status: the connection was lost or it was killed")


@dataclasses.dataclass(slots=True)
class _Sent:
    """One command as it is sent: what comes right before it, and what is seen of it."""

    host_name: str
    before_command: Callable[[], None]
    seconds: float
    at: float | None = None
    """On the monotonic clock; None: it was surely not sent."""
    truncated: bool = False
    until_deadline: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack)

    def result(self, ended: fabric.Result) -> CommandResult:
        """Return how it ended; NUL is no text for PostgreSQL, nor for a terminal."""
        stdout, stderr = (text.replace("\0", "\ufffd") for text in (ended.stdout, ended.stderr))
        duration_seconds = time.monotonic() - (self.at or 0.0)
        return CommandResult(ended.exited, stdout, stderr, self.truncated, duration_seconds)


class _Runner(fabric.runners.Remote):  # type: ignore[misc] # Fabric ships no types
    """Fabric's runner, held to what a restart needs; tests/integration/adapters shows each.

    1. The last look comes between the open channel and the command, and may call it off.
       test_the_last_look_comes_after_the_session_and_before_the_command
    2. The deadline covers sshd's answer to the request, which Fabric's own waits for without end.
       test_a_command_whose_request_is_not_answered_is_lost_at_its_deadline
    3. Of the output a part is kept; Invoke keeps all of it.
       test_ten_megabytes_of_each_stream_are_read_and_64_kib_kept
    4. A child that holds the output open is not waited for; Invoke joins its readers without end.
       test_a_child_that_keeps_the_output_open_is_not_waited_for
    5. Standard input goes out in one piece; Invoke sends a byte every 10 ms.
       test_stdin_reaches_the_command_and_ends
    """

    def __init__(self, *args: Any, sent: _Sent, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sent = sent

    def send_start_message(self, command: str) -> None:
        """Look a last time, and send ``command``. Raises what the look raises."""
        sent, transport = self._sent, self.context.transport
        sent.before_command()
        if self.channel.closed or not transport.is_active():
            raise SshUnreachable(f"{sent.host_name}: the connection was lost before the command")
        sent.until_deadline.enter_context(closing_after(sent.seconds, lambda: transport))
        sent.at = time.monotonic()
        super().send_start_message(command)

    def handle_stdin(self, input_: io.BytesIO, output: object, echo: bool = False) -> None:  # noqa: ARG002
        """Send all of ``input_``, and its end."""
        with contextlib.suppress(*_LINE_ENDS):  # it may end without reading; its exit status tells
            self.channel.sendall(input_.read())
            self.close_proc_stdin()

    def read_proc_output(self, reader: Callable[[int], bytes]) -> Iterator[str]:
        """Yield the beginning of a stream as text, and read the rest of it."""
        return codecs.iterdecode(self._beginning(reader), "utf-8", "replace")

    def _beginning(self, reader: Callable[[int], bytes]) -> Iterator[bytes]:
        room = MAX_OUTPUT_BYTES
        # Whoever reads just when the connection is closed gets an error, and no end. An error in a
        # reader's thread would say nothing of the command; that it has no exit status does.
        with contextlib.suppress(*_LINE_ENDS):
            while data := reader(_CHUNK_BYTES):
                self._sent.truncated |= len(data) > room
                yield data[:room]
                room -= len(data[:room])

    def _thread_join_timeout(self, target: object) -> float:  # noqa: ARG002 - Invoke's signature
        return _OUTPUT_GRACE_SECONDS
