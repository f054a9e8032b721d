"""The collector on a host, told over SSH. Every word of it may be said twice."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from responder.adapters.ssh import SshClient
from responder.core.facts import Host
from responder.diagnose.artifacts import BadReport
from responder.diagnose.shipping import Order, Verb, command, packed
from responder.errors import ResponderError


class CollectorError(ResponderError):
    """The collector could not be run on the host, or answered nonsense; a person must look."""


class Collector:
    """Runs the collector's verbs on hosts."""

    def __init__(
        self, ssh: SshClient, seconds_left: Callable[[], float | None] = lambda: None
    ) -> None:
        """``seconds_left`` bounds each command; None: by the SSH settings."""
        self._ssh = ssh
        self._seconds_left = seconds_left

    def tell(
        self, host: Host, verb: Verb, order: Order, python: str, *arguments: str
    ) -> dict[str, str]:
        """Return the collector's answer to ``verb``. Raises SshError or CollectorError."""
        result = self._ssh.run(
            host,
            command(verb, order, python, *arguments),
            stdin=packed() if verb is Verb.START else None,
            timeout_seconds=self._seconds_left(),
        )
        try:
            answer = json.loads(result.stdout)
            state = answer["state"]
        except (ValueError, KeyError, TypeError) as error:
            said = (result.stderr or result.stdout).strip()[-300:] or "it said nothing"
            raise CollectorError(
                f"{host.name}: {python} ended with exit code {result.exit_code}: {said}"
            ) from error
        if state == "error":
            raise CollectorError(f"{host.name}: the collector cannot {verb.value}: {answer}")
        return {str(name): str(value) for name, value in answer.items()}

    def fetch(self, host: Host, order: Order, python: str) -> bytes:
        """Return the report's tar.gz. Raises SshError, CollectorError or BadReport."""
        content = b""
        while True:
            answer = self.tell(host, Verb.READ, order, python, str(len(content)))
            try:
                piece = base64.b64decode(answer["data"], validate=True)
                whole_bytes = int(answer["bytes"])
            except (KeyError, ValueError) as error:
                raise BadReport(f"a piece of it cannot be read: {error}") from error
            content += piece
            if max(whole_bytes, len(content)) > order.max_report_bytes:
                raise BadReport(f"its tar is larger than {order.max_report_bytes} bytes")
            if len(content) >= whole_bytes:
                return content
            if not piece:
                raise BadReport("its tar ends early")
