"""Where the responder listens, how it encrypts, and who is let in: checked before it starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from responder.access import Access
from responder.web.identity import Gate
from responder.web.server import bind_address
from toolkit.web_config import WebConfig


@dataclasses.dataclass(frozen=True, slots=True)
class Front:
    """The outside of one process."""

    address: tuple[str, int]
    web_config: WebConfig
    gate: Gate

    @classmethod
    def of(cls, address: tuple[str, int], web_config_file: Path | None, access: Access) -> Front:
        """Read the web configuration and the tokens. Raises ConfigError."""
        web_config = WebConfig(web_config_file)
        gate = Gate(web_config, access)
        return cls(bind_address(address, protected=gate.closed(access)), web_config, gate)
