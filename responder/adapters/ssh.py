"""Commands and files over SSH: run once, seen to their end, within deadlines.

The session is Fabric's (ssh_session). The command itself goes over the session's paramiko channel,
since Connection.run can neither be stopped between opening the channel and sending the command,
nor bound the answer to the request, nor cap what it keeps of the output.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import select
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko

from responder.adapters.ssh_ahead import SessionsAhead
from responder.adapters.ssh_session import closing_after, connected
from responder.core.facts import Host
from responder.errors import CommandLost, SshError, SshUnreachable
from responder.settings import Ssh

MAX_OUTPUT_BYTES = 64 * 1024
"""Kept of each of stdout and stderr; the rest is read and thrown away."""
_LOOK_EVERY_SECONDS = 0.1
_OUTPUT_GRACE_SECONDS = 0.5
_CHUNK_BYTES = 64 * 1024
_SFTP_CHUNK_BYTES = 32 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class CommandResult:
    """A command that was seen to its end, well or badly."""

    exit_code: int
    stdout: str
    stderr: str
    truncated: bool
    """Whether stdout or stderr was longer than what is kept."""
    duration_seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class FetchResult:
    """A file that was brought over."""

    size_bytes: int
    truncated: bool
    """Whether the file was longer than what was wanted of it."""


def _nothing() -> None:
    """Do nothing: the default last look."""


class SshClient:
    """Runs commands on hosts and fetches files from them, a session for each."""

    def __init__(self, settings: Ssh) -> None:
        self._settings = settings
        self._sessions = SessionsAhead(self._opened, _is_alive)
        # paramiko logs a traceback for each host that is down; what it says, our errors say.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)

    def run(
        self,
        host: Host,
        command: str,
        *,
        timeout_seconds: float | None = None,
        before_command: Callable[[], None] = _nothing,
        stdin: bytes | None = None,
    ) -> CommandResult:
        """Run ``command`` on ``host`` once and return how it ended.

        1. Connects, authenticates, opens a channel: each within ``connect_timeout``; or takes
           what ``open_ahead`` has opened.
        2. Calls ``before_command``; what it raises goes through, and nothing is sent.
        3. Sends the command and sees it to its end within ``timeout_seconds``.

        Raises SshUnreachable, SshAuthFailed, HostKeyMismatch when the command was surely not
        sent; CommandLost when it was and its end was not seen.
        """
        seconds = self._settings.command_timeout if timeout_seconds is None else timeout_seconds
        with self._sessions.session(host) as (transport, channel):
            before_command()
            if not _is_alive((transport, channel)):
                raise SshUnreachable(f"{host.name}: the connection was lost before the command")
            try:
                with closing_after(seconds, lambda: transport):
                    return _execute(channel, command, stdin, time.monotonic() + seconds)
            except (paramiko.SSHException, OSError, EOFError) as error:
                raise CommandLost(
                    f"{host.name}: the command was sent and its end not seen within {seconds:g} s: "
                    f"{_why(error)}; it may still run: look at the host"
                ) from error

    def open_ahead(self, host: Host) -> None:
        """Begin to open the session that the next ``run`` on ``host`` will need; it comes soon."""
        self._sessions.begin(host)

    @contextlib.contextmanager
    def _opened(self, host: Host) -> Iterator[tuple[paramiko.Transport, paramiko.Channel]]:
        with connected(self._settings, host) as transport:
            channel = self._channel(transport, host)
            try:
                yield transport, channel
            finally:
                channel.close()

    def fetch(
        self,
        host: Host,
        remote_path: str,
        local_path: Path,
        *,
        max_bytes: int,
        timeout_seconds: float,
    ) -> FetchResult:
        """Bring the first ``max_bytes`` of a file over SFTP to ``local_path``. Raises SshError."""
        with connected(self._settings, host) as transport:
            try:
                with closing_after(timeout_seconds, lambda: transport):
                    return _fetch(transport, remote_path, local_path, max_bytes)
            except (paramiko.SSHException, OSError, EOFError) as error:
                raise SshError(
                    f"{host.name}: {remote_path} was not fetched within {timeout_seconds:g} s: "
                    f"{_why(error)}"
                ) from error

    def _channel(self, transport: paramiko.Transport, host: Host) -> paramiko.Channel:
        seconds = self._settings.connect_timeout
        try:
            return transport.open_session(timeout=seconds)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise SshUnreachable(
                f"{host.name}: sshd opened no channel within {seconds:g} s: "
                f"{_why(error)}; look at its MaxSessions and its log"
            ) from error


def _is_alive(session: tuple[paramiko.Transport, paramiko.Channel]) -> bool:
    transport, channel = session
    return transport.is_active() and not channel.closed


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__


class _Output:
    """The beginning of one stream."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self.truncated = False

    def add(self, data: bytes) -> None:
        room = MAX_OUTPUT_BYTES - len(self._kept)
        self._kept += data[:room]
        self.truncated = self.truncated or len(data) > room

    def text(self) -> str:
        # NUL is no text for PostgreSQL, and a terminal's business neither.
        return self._kept.decode("utf-8", "replace").replace("\0", "\ufffd")


def _execute(
    channel: paramiko.Channel, command: str, stdin: bytes | None, deadline: float
) -> CommandResult:
    """Send ``command`` and read until it ends. Raises SSHException, OSError, EOFError."""
    started = time.monotonic()
    channel.settimeout(max(0.0, deadline - started))
    channel.exec_command(command)
    with contextlib.suppress(OSError):  # it may end without reading; its exit status tells
        if stdin:
            channel.sendall(stdin)
        channel.shutdown_write()
    out, err = _Output(), _Output()
    _read_to_end(channel, out, err, deadline)
    exit_code = channel.recv_exit_status() if channel.exit_status_ready() else -1
    if exit_code < 0:
        raise EOFError("it ended without an exit status: the connection was lost or it was killed")
    truncated = out.truncated or err.truncated
    seconds = time.monotonic() - started
    return CommandResult(exit_code, out.text(), err.text(), truncated, seconds)


def _read_to_end(channel: paramiko.Channel, out: _Output, err: _Output, deadline: float) -> None:
    """Read both streams until they end, or the command did and a child of it holds them open."""
    arrival = select.poll()
    arrival.register(channel.fileno(), select.POLLIN)
    ended_at: float | None = None
    while not (channel.eof_received or channel.closed):
        arrival.poll(_LOOK_EVERY_SECONDS * 1000)
        _read_ready(channel, out, err)
        now = time.monotonic()
        if now >= deadline:
            raise TimeoutError("the deadline passed")
        if channel.exit_status_ready():
            ended_at = now if ended_at is None else ended_at
            if now - ended_at >= _OUTPUT_GRACE_SECONDS:
                return
    while _read_ready(channel, out, err):
        pass
    channel.status_event.wait(max(0.0, deadline - time.monotonic()))


def _read_ready(channel: paramiko.Channel, out: _Output, err: _Output) -> bool:
    """Read at most one chunk of each stream without waiting; return whether there was one."""
    ready = False
    if channel.recv_ready():
        out.add(channel.recv(_CHUNK_BYTES))
        ready = True
    if channel.recv_stderr_ready():
        err.add(channel.recv_stderr(_CHUNK_BYTES))
        ready = True
    return ready


def _fetch(
    transport: paramiko.Transport, remote_path: str, local_path: Path, max_bytes: int
) -> FetchResult:
    partial = local_path.with_name(local_path.name + ".partial")
    sftp = paramiko.SFTPClient.from_transport(transport)
    if sftp is None:
        raise paramiko.SSHException("sshd has no SFTP")
    with sftp, contextlib.ExitStack() as cleanup:
        mode = sftp.stat(remote_path).st_mode
        if mode is None or not stat.S_ISREG(mode):
            raise OSError("it is not a regular file")
        cleanup.callback(partial.unlink, missing_ok=True)
        size = 0
        with sftp.open(remote_path, "rb") as remote, partial.open("wb") as local:
            while size < max_bytes:
                data = remote.read(min(_SFTP_CHUNK_BYTES, max_bytes - size))
                if not data:
                    break
                local.write(data)
                size += len(data)
            truncated = bool(remote.read(1))
        os.replace(partial, local_path)  # noqa: PTH105 - over an older one, in one step
        return FetchResult(size, truncated)
