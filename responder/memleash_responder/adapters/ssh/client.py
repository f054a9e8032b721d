"""Commands over SSH, as the rest sees them.

What runs them, Fabric and paramiko, is imported with the first command: 16 MiB and a tenth of a
second that a responder which has only looked on so far does not pay.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable
from pathlib import Path

from memleash_responder.core.facts import Host
from memleash_responder.settings import Ssh

_SUDO_WANTS_A_TERMINAL = re.compile(
    r"sudo: (?!.*(?:askpass|-[St]\b)).*(?:tty|terminal|终端|終端|конзолу)", re.IGNORECASE
)
"""What ``requiretty`` makes sudo say, in each of its languages. A sudo that lacks a terminal to ask
for a password on says so with askpass, -S or -t: on a terminal it would wait for that password."""


def warnings(settings: Ssh) -> list[str]:
    """Return which of the files that ``settings`` name are not there."""
    named = ("identity_file", "known_hosts_file", "config_file")
    files: dict[str, Path | None] = {name: getattr(settings, name) for name in named}
    return [
        f"ssh.{name}: {file} is not there: no host can be reached"
        for name, file in files.items()
        if file is not None and not file.exists()
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class CommandResult:
    """A command that was seen to its end, well or badly."""

    exit_code: int
    stdout: str
    stderr: str
    truncated: bool
    """Whether stdout or stderr was longer than what is kept."""
    duration_seconds: float

    @property
    def lacked_terminal(self) -> bool:
        """Whether sudo refused the command because it had no terminal (``requiretty``)."""
        return _SUDO_WANTS_A_TERMINAL.search(f"{self.stderr}\n{self.stdout}") is not None


def _nothing() -> None:
    """Do nothing: the default last look."""


class SshClient:
    """Runs commands on hosts, a session for each."""

    def __init__(self, settings: Ssh) -> None:
        self._settings = settings
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

        1. Connects, authenticates, opens a channel: each within ``connect_timeout``.
        2. Calls ``before_command``; what it raises goes through, and nothing is sent.
        3. Sends the command and sees it to its end within ``timeout_seconds``.

        Raises SshUnreachable, SshAuthFailed, HostKeyMismatch when the command was surely not
        sent; CommandLost when it was and its end was not seen.
        """
        from memleash_responder.adapters.ssh import commands  # noqa: PLC0415 - see above

        return commands.run(
            self._settings,
            host,
            command,
            timeout_seconds=timeout_seconds,
            before_command=before_command,
            stdin=stdin,
        )
