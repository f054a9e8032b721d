"""Where the responder listens, how it encrypts, and who is let in: checked before it starts."""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
from pathlib import Path

from memleash_responder.core.access import Access
from memleash_responder.web.authentication import Gate
from memleash_toolkit.settings import ConfigError
from memleash_toolkit.web_config import WebConfig

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Listening:
    """The outside of one process."""

    address: tuple[str, int]
    web_config: WebConfig
    gate: Gate

    @classmethod
    def of(
        cls, address: tuple[str, int], web_config_file: Path | None, access: Access
    ) -> Listening:
        """Read the web configuration and the tokens. Raises ConfigError."""
        web_config = WebConfig(web_config_file)
        gate = Gate(web_config, access)
        return cls(bind_address(address, protected=gate.closed(access)), web_config, gate)


def bind_address(address: tuple[str, int], *, protected: bool) -> tuple[str, int]:
    """Return where to listen: without any access control, on loopback only.

    Raises ConfigError for an address that others can reach and nothing protects.
    """
    host, port = address
    if protected:
        return host or "0.0.0.0", port
    if not host:
        log.warning("no access is configured: listening on loopback only", extra={"port": port})
        return "127.0.0.1", port
    if is_loopback(host):
        return address
    raise ConfigError(
        "--web.listen-address",
        "",
        f"{host}:{port} can be reached from elsewhere, and no access is configured; give"
        " --web.config.file with users or client certificates, or access.tokens, or listen on"
        f" 127.0.0.1:{port}",
    )


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address, is this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
