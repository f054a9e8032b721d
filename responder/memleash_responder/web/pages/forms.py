"""Forms that cannot be made by another site, by another caller, or sent twice.

A form carries a signature over who it was made for, what it does, and the state that its maker
saw. Once the act is done that state is another, and the same form is refused; so is one that
lay open in a browser while somebody else acted. The key lives in the database, so that every
replica takes every replica's forms.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable

from itsdangerous import BadSignature, TimestampSigner

from memleash_responder.usecases.services import Services
from memleash_responder.web.responses import Problem

FORM_KEY = "form_key"
"""The switch that holds the key. Flags are never shown as a whole."""
VALID_SECONDS = 12 * 3600
_SIGNED = "form"


class Forms:
    """Signs and checks."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def sign(self, by: str, act: str, seen: str) -> str:
        """Return the proof for a form that lets ``by`` do ``act`` in the state ``seen``."""
        return self._signer(by, act, seen).sign(_SIGNED).decode()

    def check(self, proof: str, by: str, act: str, seen: str) -> None:
        """Raise Problem 403 unless ``proof`` was signed for just this, and not long ago."""
        try:
            signed = self._signer(by, act, seen).unsign(proof, max_age=VALID_SECONDS)
        except BadSignature:
            signed = b""
        if signed != _SIGNED.encode():
            raise Problem(
                403,
                "This form is out of date",
                "something changed since the page was shown, or the form was sent before;"
                " look at the page again",
            )

    def _signer(self, by: str, act: str, seen: str) -> TimestampSigner:
        purpose = json.dumps([by, act, seen])
        return _Signer(self._key(), purpose, self._services.clock.now)

    def _key(self) -> str:
        flags = self._services.memory.flags
        known = flags.all().get(FORM_KEY)
        if known is None:
            flags.set(FORM_KEY, secrets.token_hex(32), "responder", self._services.clock.now())
            known = flags.all()[FORM_KEY]  # another replica's may have won
        return known[0]


class _Signer(TimestampSigner):
    """A signer for one purpose that goes by the responder's clock, which all replicas share."""

    def __init__(self, key: str, purpose: str, now: Callable[[], float]) -> None:
        super().__init__(key, salt=purpose, key_derivation="hmac", digest_method=hashlib.sha256)
        self._now = now

    def get_timestamp(self) -> int:
        """Return the unix time."""
        return int(self._now())
