"""How to speak HTTP with a peer, in the keys of Prometheus's http_config.

It stands by itself because memleashctl needs no more of the settings than this, and should begin
at once.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from memleash_toolkit.values import Line, Name, Secret, Word


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
class HttpHeader:
    """The values of one of Prometheus's http_config ``http_headers``, all of them sent."""

    values: tuple[Line, ...] = ()
    secrets: tuple[Secret, ...] = dataclasses.field(default=(), repr=False)
    files: tuple[Path, ...] = ()
    """Each with one value, read at each use."""

    def __post_init__(self) -> None:
        if not (self.values or self.secrets or self.files):
            raise ValueError("give values, secrets or files")
        if not all(value.isascii() for value in self.values):
            raise ValueError("values must be plain ASCII text")


_OF_HTTP_ITSELF = frozenset(
    {
        *("authorization", "host", "cookie", "user-agent", "te", "trailer", "upgrade"),
        *("content-encoding", "content-length", "content-type", "transfer-encoding"),
        *("accept-encoding", "connection", "keep-alive", "proxy-authorization"),
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class HttpConfig:
    """How to speak HTTP with one kind of peer."""

    authorization: Authorization | None = None
    basic_auth: BasicAuth | None = None
    tls_config: TlsConfig = dataclasses.field(default_factory=TlsConfig)
    http_headers: dict[Name, HttpHeader] = dataclasses.field(default_factory=dict)
    """Such as Mimir's X-Scope-OrgID."""

    def __post_init__(self) -> None:
        if self.authorization is not None and self.basic_auth is not None:
            raise ValueError("give one of authorization and basic_auth")
        for name in self.http_headers:
            if name.lower() in _OF_HTTP_ITSELF:
                raise ValueError(f"http_headers: {name} cannot be set")
