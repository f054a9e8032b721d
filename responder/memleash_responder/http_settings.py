"""How to speak HTTP with a peer, in the keys of Prometheus's http_config.

It stands by itself because memleashctl needs no more of the settings than this, and should begin
at once.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from memleash_toolkit.values import Line, Secret, Word


@dataclasses.dataclass(frozen=True, slots=True)
class Authorization:
    """Prometheus's http_config ``authorization``."""

    type: Word = "Bearer"
    credentials: Secret = dataclasses.field(default="", repr=False)
    credentials_file: Path | None = None

    def __post_init__(self) -> None:
        if bool(self.credentials) == (self.credentials_file is not None):
            raise ValueError("give one of credentials and credentials_file")


@dataclasses.dataclass(frozen=True, slots=True)
class BasicAuth:
    """Prometheus's http_config ``basic_auth``."""

    username: Line
    password: Secret = dataclasses.field(default="", repr=False)
    password_file: Path | None = None

    def __post_init__(self) -> None:
        if bool(self.password) == (self.password_file is not None):
            raise ValueError("give one of password and password_file")


@dataclasses.dataclass(frozen=True, slots=True)
class TlsConfig:
    """Prometheus's http_config ``tls_config``."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure_skip_verify: bool = False

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")


@dataclasses.dataclass(frozen=True, slots=True)
class HttpConfig:
    """How to speak HTTP with one kind of peer."""

    authorization: Authorization | None = None
    basic_auth: BasicAuth | None = None
    tls_config: TlsConfig = dataclasses.field(default_factory=TlsConfig)

    def __post_init__(self) -> None:
        if self.authorization is not None and self.basic_auth is not None:
            raise ValueError("give one of authorization and basic_auth")
