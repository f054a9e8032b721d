"""``--web.config.file``: TLS, client certificates and basic authentication for any server.

The schema is exporter-toolkit's (https://github.com/prometheus/exporter-toolkit, its
docs/web-configuration.md); what it allows and we do not do is an error, never ignored. The file
and those it names are looked at again for each connection, and read again when one changed;
a change that cannot be used is logged, and the former configuration stays in force. So does it
when the change would open a door: a file that is being written is empty for a moment.

A server needs two calls: ``encryption`` for each connection, ``allows`` (or ``user``) for each
request.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from memleash_toolkit.settings import ConfigError, load

if TYPE_CHECKING:
    import ssl

    from memleash_toolkit.basic_auth import BasicAuth

log = logging.getLogger(__name__)

ClientAuth = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]


@dataclass(frozen=True, slots=True)
class TlsServerConfig:
    """What the listener shows and asks for."""

    cert_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    client_auth_type: ClientAuth = "NoClientCert"
    client_allowed_sans: tuple[str, ...] = ()
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"
    cert: object = None
    key: object = None
    client_ca: object = None
    cipher_suites: object = None
    prefer_server_cipher_suites: object = None
    curve_preferences: object = None

    def __post_init__(self) -> None:
        for name in ("cert", "key", "client_ca"):
            _refuse(self, name, f"name a file in {name}_file")
        for name in ("cipher_suites", "prefer_server_cipher_suites", "curve_preferences"):
            _refuse(self, name, "OpenSSL's own defaults are used")
        if self.cert_file is None or self.key_file is None:
            raise ValueError("cert_file and key_file are both required here")
        asks = self.client_auth_type != "NoClientCert"
        if asks and self.client_ca_file is None:
            raise ValueError(f"client_auth_type {self.client_auth_type} needs a client_ca_file")
        if self.client_ca_file is not None and not asks:
            raise ValueError("client_ca_file needs client_auth_type: RequireAndVerifyClientCert")
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise ValueError(
                "client_allowed_sans needs client_auth_type: RequireAndVerifyClientCert"
            )
        if self.min_version > self.max_version:
            raise ValueError(f"min_version {self.min_version} is above max_version")


@dataclass(frozen=True, slots=True)
class HttpServerConfig:
    """HTTP/1.1 is spoken, whatever the client would like."""

    http2: bool = False
    headers: object = None

    def __post_init__(self) -> None:
        if self.http2:
            raise ValueError("http2: true is not supported; leave it out")
        _refuse(self, "headers", "put a proxy in front to add some")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """The file. A password is never shown, not even a wrong one, hence ``object``."""

    tls_server_config: TlsServerConfig | None = None
    http_server_config: HttpServerConfig | None = None
    basic_auth_users: dict[str, object] = field(default_factory=dict, repr=False)
    rate_limit: object = None

    def __post_init__(self) -> None:
        _refuse(self, "rate_limit", "put a proxy in front to limit requests")


@dataclass(frozen=True, slots=True)
class Encryption:
    """TLS as a server speaks it, and the names that clients must bear, if any."""

    context: ssl.SSLContext
    allowed_sans: frozenset[str] = frozenset()

    def names(self, connection: ssl.SSLObject | ssl.SSLSocket) -> tuple[str, ...]:
        """Return the names in the client's verified certificate, the common name first.

        Raises ssl.SSLError (an OSError) for a client whose certificate bears no allowed name.
        """
        certificate: dict[str, Any] = connection.getpeercert() or {}
        common = [
            value
            for part in certificate.get("subject", ())
            for name, value in part
            if name == "commonName"
        ]
        sans = [str(value) for _, value in certificate.get("subjectAltName", ())]
        if self.allowed_sans and self.allowed_sans.isdisjoint(sans):
            import ssl  # noqa: PLC0415 - as below

            raise ssl.SSLError("the client's certificate has no allowed subject alternative name")
        return tuple(dict.fromkeys([*common, *sans]))


@dataclass(frozen=True, slots=True)
class _InForce:
    """One reading of the file: ``signature`` tells whether it is still what is on disk."""

    files: tuple[Path, ...]
    signature: tuple[object, ...]
    encryption: Encryption | None = None
    basic_auth: BasicAuth | None = None


class WebConfig:
    """The web configuration in force; without a file: plain HTTP, everybody allowed."""

    def __init__(self, file: Path | None) -> None:
        """Read ``file``. Raises ConfigError."""
        self._file = file
        self._lock = threading.Lock()
        self._trouble = ""
        self._in_force = _InForce((), ()) if file is None else _read(file)

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted now."""
        return self.encryption() is not None

    @property
    def asks_for_password(self) -> bool:
        """Whether requests need basic authentication now."""
        return self._current().basic_auth is not None

    @property
    def asks_for_certificate(self) -> bool:
        """Whether only clients with a certificate get a connection now."""
        encryption = self.encryption()
        return encryption is not None and encryption.context.verify_mode.name == "CERT_REQUIRED"

    def encryption(self) -> Encryption | None:
        """Return how the next connection is encrypted; None: it is not."""
        return self._current().encryption

    def allows(self, authorization: str | None) -> bool:
        """Return whether a request with this Authorization header may pass; as ``user``."""
        return not self.asks_for_password or self.user(authorization) is not None

    def user(self, authorization: str | None) -> str | None:
        """Return whose credentials the Authorization header carries; None: nobody's we know.

        Raises Refused (503) while too many passwords are being checked.
        """
        basic_auth = self._current().basic_auth
        return None if basic_auth is None else basic_auth.user(authorization)

    def _current(self) -> _InForce:
        if self._file is None:
            return self._in_force
        with self._lock:
            if _signature(self._in_force.files) != self._in_force.signature:
                self._in_force = self._read_again(self._file)
            return self._in_force

    def _read_again(self, file: Path) -> _InForce:
        """Return what is on disk now; what cannot be used is tried again, and logged once."""
        try:
            fresh = _read(file)
            _check_closed(file, self._in_force, fresh)
        except ConfigError as error:
            if str(error) == self._trouble:
                return self._in_force
            self._trouble = str(error)
            log.error("web configuration not reloaded", extra={"problem": error})  # noqa: TRY400 - the message says it all
            return self._in_force
        self._trouble = ""
        log.info("web configuration reloaded", extra={"file": file})
        return fresh


def _read(file: Path) -> _InForce:
    """Read ``file`` and what it names. Each is identified before it is read, so that a change
    in between is seen the next time.
    """
    own_signature = _signature((file,))
    settings = load(WebSettings, file)
    tls = settings.tls_server_config
    named = (tls.cert_file, tls.key_file, tls.client_ca_file) if tls else ()
    others = tuple(path for path in named if path is not None)
    return _InForce(
        files=(file, *others),
        signature=own_signature + _signature(others),
        encryption=_encryption(file, tls) if tls else None,
        basic_auth=_basic_auth(file, settings.basic_auth_users),
    )


def _check_closed(file: Path, before: _InForce, fresh: _InForce) -> None:
    """Raise ConfigError where ``fresh`` asks clients for less than ``before`` did."""
    opened = []
    if before.basic_auth is not None and fresh.basic_auth is None:
        opened.append("passwords")
    if before.encryption is not None:
        old, new = before.encryption, fresh.encryption
        if new is None:
            opened.append("TLS")
        elif new.context.verify_mode < old.context.verify_mode:
            opened.append("client certificates")
        elif old.allowed_sans and not new.allowed_sans:
            opened.append("client_allowed_sans")
    if opened:
        raise ConfigError(
            str(file), "", f"{' and '.join(opened)} would be gone: only a restart takes that away"
        )


def _signature(files: tuple[Path, ...]) -> tuple[object, ...]:
    return tuple(_identity(file) for file in files)


def _identity(file: Path) -> object:
    try:
        status = os.stat(file)  # noqa: PTH116 - for each connection
    except OSError as error:
        return error.errno
    return status.st_ino, status.st_mtime_ns, status.st_size


def _encryption(file: Path, tls: TlsServerConfig) -> Encryption:
    return Encryption(_context(file, tls), frozenset(tls.client_allowed_sans))


def _context(file: Path, tls: TlsServerConfig) -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - 6 MB, for those who use it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    versions = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
    context.minimum_version = versions[tls.min_version]
    context.maximum_version = versions[tls.max_version]
    context.verify_mode = {
        "NoClientCert": ssl.CERT_NONE,
        "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
        "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
    }[tls.client_auth_type]
    try:
        context.load_cert_chain(tls.cert_file or "", tls.key_file, password=_no_password)
    except (OSError, ValueError) as error:
        raise ConfigError(
            str(file),
            "tls_server_config.cert_file",
            f"{tls.cert_file} and key_file {tls.key_file} cannot be used together: {_why(error)}",
        ) from error
    if tls.client_ca_file is not None:
        try:
            context.load_verify_locations(cafile=tls.client_ca_file)
        except OSError as error:
            raise ConfigError(
                str(file),
                "tls_server_config.client_ca_file",
                f"{tls.client_ca_file} cannot be used: {_why(error)}",
            ) from error
    return context


def _basic_auth(file: Path, users: dict[str, object]) -> BasicAuth | None:
    if not users:
        return None
    from memleash_toolkit.basic_auth import BasicAuth  # noqa: PLC0415 - brings OpenSSL and bcrypt

    try:
        return BasicAuth({user: str(password_hash) for user, password_hash in users.items()})
    except ValueError as error:
        raise ConfigError(str(file), "basic_auth_users", str(error)) from error


def _no_password() -> str:
    raise ValueError("the key is protected by a password; give one that is not")


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or getattr(error, "reason", None) or error)


def _refuse(settings: object, name: str, instead: str) -> None:
    if getattr(settings, name) is not None:
        raise ValueError(
            f"{name} is part of exporter-toolkit's schema but not supported: {instead}"
        )
