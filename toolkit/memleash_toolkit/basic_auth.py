"""HTTP basic authentication against bcrypt hashes, as exporter-toolkit does it.

A bcrypt comparison takes tenths of a second on purpose, so its verdict is remembered; what is
remembered is a keyed digest, never a password. Every question costs what a comparison with the
dearest of the configured hashes does, be the user unknown or one with a cheaper hash, so that the
time taken does not tell who exists. Guesses take one core and two of the server's threads at most.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import threading
from collections.abc import Mapping

import bcrypt

from memleash_toolkit.http_exchange import Refused

_HASH = re.compile(r"\$2[aby]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_NOBODY = b"." * 53  # salt and digest of a hash that stands for nobody's password
_MOST_REMEMBERED = 128
_MOST_COMPARED = 2  # the one whose turn it is, and the next
_BCRYPT_BYTES = 72  # bcrypt looks at no more; Go's, the schema's own, cuts there as well


class BasicAuth:
    """The users of one configuration."""

    def __init__(self, users: Mapping[str, str]) -> None:
        """Take the bcrypt hash of each user. Raises ValueError, which never shows a value."""
        for user, password_hash in users.items():
            if not _HASH.fullmatch(password_hash):
                raise ValueError(
                    f"the password of {user!r} must be a bcrypt hash (htpasswd -nBC 10 {user})"
                )
        self._hashes = {user: text.encode() for user, text in users.items()}
        self._highest_cost = max(map(_cost, self._hashes.values()), default=0)
        self._key = secrets.token_bytes(32)
        self._right: set[bytes] = set()
        self._wrong: set[bytes] = set()
        self._one_at_a_time = threading.Lock()
        self._places = threading.BoundedSemaphore(_MOST_COMPARED)

    def user(self, authorization: str | None) -> str | None:
        """Return the user whose credentials the Authorization header carries, None without.

        Raises Refused while too many others are being compared.
        """
        credentials = _credentials(authorization)
        if credentials is None:
            return None
        user, password = credentials
        return user if self._is_right(user, password) else None

    def _is_right(self, user: str, password: bytes) -> bool:
        question = hashlib.blake2b(f"{user}\0".encode() + password, key=self._key).digest()
        # The digest is keyed by a secret: nobody can choose one, so this lookup tells nothing.
        if question in self._right:
            return True
        if question in self._wrong:
            return False
        if not self._places.acquire(blocking=False):
            raise Refused(503, "too many passwords are being checked; try again")
        try:
            with self._one_at_a_time:
                right = self._compare(password[:_BCRYPT_BYTES], self._hashes.get(user))
        finally:
            self._places.release()
        self._remember(question, right=right)
        return right

    def _remember(self, question: bytes, *, right: bool) -> None:
        """Keep a verdict. Guesses push out guesses alone, never what is known to be right."""
        known = self._right if right else self._wrong
        if len(known) >= _MOST_REMEMBERED:
            known.clear()
        known.add(question)

    def _compare(self, password: bytes, password_hash: bytes | None) -> bool:
        """Whether ``password`` is the one; after 2**highest_cost rounds, whoever was asked for.

        A cost of c means 2**c rounds, and 2**c + 2**c + 2**(c+1) + ... + 2**(h-1) = 2**h.
        """
        if password_hash is None:
            bcrypt.checkpw(password, _nobody(self._highest_cost))
            return False
        right = bcrypt.checkpw(password, password_hash)
        for cost in range(_cost(password_hash), self._highest_cost):
            bcrypt.checkpw(password, _nobody(cost))
        return right


def _cost(password_hash: bytes) -> int:
    """Return the binary logarithm of a hash's rounds."""
    return int(password_hash[4:6])


def _nobody(cost: int) -> bytes:
    return b"$2b$%02d$" % cost + _NOBODY


def _credentials(authorization: str | None) -> tuple[str, bytes] | None:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, UnicodeDecodeError):
        return None
