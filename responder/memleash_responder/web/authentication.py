"""Who is calling: bearer tokens, the web configuration's users, client certificates, or nobody.

Every comparison of a secret takes the same time whether and where it differs, and no secret is
ever part of a message. A token's file is read again when it changes.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import hmac
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from memleash_responder.core.access import EVERYTHING, ROLES, Access, Role, Token
from memleash_toolkit.settings import ConfigError
from memleash_toolkit.web_config import WebConfig

log = logging.getLogger(__name__)

SHORTEST_TOKEN = 16
"""Bytes; ``openssl rand -hex 32`` gives 64."""


@dataclasses.dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the history names them, and what they may do."""

    name: str
    """``user:alice``, ``token:on-call``, ``certificate:…``, ``local`` or ``anonymous``."""
    may: frozenset[Role]


class NotKnown(Exception):
    """No credentials, or wrong ones. The message says which, and never what they were."""


@dataclasses.dataclass(slots=True)
class _TokenFile:
    signature: object = None
    digest: bytes = b""


class Tokens:
    """The bearer tokens, as their files have them now."""

    def __init__(self) -> None:
        self._files: dict[Path, _TokenFile] = {}
        self._lock = threading.Lock()

    def check(self, tokens: Sequence[Token]) -> None:
        """Read every token once. Raises ConfigError for one that cannot be used."""
        for token in tokens:
            problem = self._read(token.file)
            if problem is not None:
                raise ConfigError(str(token.file), "", f"token {token.name!r}: {problem}")

    def find(self, tokens: Sequence[Token], secret: str) -> Token | None:
        """Return the token that ``secret`` is; all are compared, whichever it is."""
        given = _digest(secret.encode("utf-8", "surrogateescape"))
        found = None
        for token in tokens:
            self._read(token.file)
            if hmac.compare_digest(self._files[token.file].digest, given):
                found = token
        return found

    def _read(self, file: Path) -> str | None:
        """Bring a token up to date; return why it cannot be used: then nothing equals it."""
        with self._lock:
            known = self._files.setdefault(file, _TokenFile())
            try:
                status = os.stat(file)  # noqa: PTH116 - for each request
                signature: object = (status.st_ino, status.st_mtime_ns, status.st_size)
                if signature == known.signature:
                    return None
                secret = file.read_bytes().strip()
            except OSError as error:
                problem = f"cannot be read: {error.strerror}"
            else:
                problem = "" if len(secret) >= SHORTEST_TOKEN else _too_short()
                known.signature = signature if not problem else None
                known.digest = _digest(secret) if not problem else b""
                if not problem:
                    return None
            known.signature, known.digest = None, b""
            log.warning("token not usable", extra={"file": file, "reason": problem})
            return problem


class Gate:
    """Decides who a request comes from."""

    def __init__(self, web_config: WebConfig, access: Access) -> None:
        """Raises ConfigError for a token that cannot be used."""
        self._web_config = web_config
        self._tokens = Tokens()
        self._tokens.check(access.tokens)
        self._closed = False
        self.closed(access)

    def closed(self, access: Access) -> bool:
        """Whether callers have to be known: as soon as any access was configured, and ever after.

        What is taken out of a configuration while the process runs opens no door.
        """
        self._closed = self._closed or bool(
            access.tokens
            or access.anonymous != "nobody"
            or self._web_config.asks_for_password
            or self._web_config.asks_for_certificate
        )
        return self._closed

    def caller(
        self, access: Access, authorization: str | None, certificate: Sequence[str]
    ) -> Caller:
        """Return who shows these credentials. Raises NotKnown."""
        if not self.closed(access):
            return Caller("local", EVERYTHING)
        if authorization:
            return self._by_header(access, authorization)
        if certificate:
            named = self._by_certificate(access, certificate)
            if named is not None:
                return named
        if access.anonymous == "read":
            return Caller("anonymous", ROLES[Role.READ])
        raise NotKnown("credentials are needed")

    def _by_header(self, access: Access, authorization: str) -> Caller:
        scheme, _, rest = authorization.partition(" ")
        if scheme.lower() == "bearer":
            token = self._tokens.find(access.tokens, rest.strip())
        elif scheme.lower() == "basic":
            user = self._web_config.user(authorization)
            if user is not None:
                return Caller(f"user:{user}", _role_of(access.users, user))
            token = self._by_password(access, rest)
        else:
            raise NotKnown(
                "only Bearer and Basic credentials are understood (some versions of Prometheus need"
                " `type: Bearer` in http_sd_configs)"
            )
        if token is None:
            raise NotKnown("these credentials are not valid")
        return Caller(f"token:{token.name}", ROLES[token.role])

    def _by_password(self, access: Access, encoded: str) -> Token | None:
        """Browsers cannot send bearer tokens: the token's name and the token do as well."""
        try:
            pair = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return None
        name, _, secret = pair.partition(":")
        token = self._tokens.find(access.tokens, secret)
        return token if token is not None and token.name == name else None

    def _by_certificate(self, access: Access, names: Sequence[str]) -> Caller | None:
        if access.certificates is None:
            others = access.tokens or self._web_config.asks_for_password
            if others or not self._web_config.asks_for_certificate:
                return None
            return Caller(f"certificate:{names[0][:200]}", EVERYTHING)
        for name in names:
            if name in access.certificates:
                return Caller(f"certificate:{name[:200]}", ROLES[access.certificates[name]])
        return None


def _role_of(users: dict[str, Role] | None, user: str) -> frozenset[Role]:
    if users is None:
        return EVERYTHING
    return ROLES[users[user]] if user in users else frozenset()


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _too_short() -> str:
    return f"is shorter than {SHORTEST_TOKEN} bytes; make one with: openssl rand -hex 32"
