"""The collector on a host, told over SSH. Every word of it may be said twice."""

from __future__ import annotations

import json
from pathlib import Path

from responder.adapters.ssh import SshClient
from responder.core.facts import Host
from responder.diagnose.artifacts import BadReport
from responder.diagnose.shipping import Order, Verb, command, packed
from responder.errors import ResponderError

FETCH_SECONDS = 120.0


class CollectorError(ResponderError):
    """The collector could not be run on the host, or answered nonsense; a person must look."""


class Collector:
    """Runs the collector's verbs on hosts."""

    def __init__(self, ssh: SshClient) -> None:
        self._ssh = ssh

    def tell(self, host: Host, verb: Verb, order: Order, python: str) -> dict[str, str]:
        """Return the collector's answer to ``verb``. Raises SshError or CollectorError."""
        result = self._ssh.run(
            host,
            command(verb, order, python),
            stdin=packed() if verb is Verb.START else None,
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
            raise CollectorError(f"{host.name}: the collector refuses to {verb.value}: {answer}")
        return {str(name): str(value) for name, value in answer.items()}

    def fetch(self, host: Host, order: Order, python: str, to: Path) -> None:
        """Bring the report's tar over. Raises SshError, CollectorError or BadReport."""
        self.tell(host, Verb.PACK, order, python)
        fetched = self._ssh.fetch(
            host,
            f"{order.work_root}/{order.run}/report.tar.gz",
            to,
            max_bytes=order.max_report_bytes,
            timeout_seconds=FETCH_SECONDS,
        )
        if fetched.truncated:
            raise BadReport(f"its tar is larger than {order.max_report_bytes} bytes")
