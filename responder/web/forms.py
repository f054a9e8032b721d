"""Forms that cannot be made by another site, by another caller, or sent twice.

A form carries a keyed digest of who it was made for, what it does, and the state that its maker
saw. Once the act is done that state is another, and the same form is refused; so is one that
lay open in a browser while somebody else acted. The key lives in the database, so that every
replica takes every replica's forms.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets

from responder.usecases.services import Services
from responder.web.problems import Problem

FORM_KEY = "form_key"
"""The switch that holds the key. Flags are never shown as a whole."""
VALID_SECONDS = 12 * 3600


class Forms:
    """Signs and checks."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def sign(self, by: str, act: str, seen: str) -> str:
        """Return the proof for a form that lets ``by`` do ``act`` in the state ``seen``."""
        made_at = int(self._services.clock.now())
        return f"{made_at}.{self._digest(by, act, seen, made_at)}"

    def check(self, proof: str, by: str, act: str, seen: str) -> None:
        """Raise Problem 403 unless ``proof`` was signed for just this, and not long ago."""
        made_at, _, digest = proof.partition(".")
        now = self._services.clock.now()
        if made_at.isascii() and made_at.isdigit() and len(made_at) < 15:
            right = self._digest(by, act, seen, int(made_at))
            fresh = -60 <= now - int(made_at) <= VALID_SECONDS
            if hmac.compare_digest(right, digest) and fresh:
                return
        raise Problem(
            403,
            "This form is out of date",
            "something changed since the page was shown, or the form was sent before;"
            " look at the page again",
        )

    def _digest(self, by: str, act: str, seen: str, made_at: int) -> str:
        said = json.dumps([by, act, seen, made_at]).encode()
        return hmac.new(self._key(), said, hashlib.sha256).hexdigest()

    def _key(self) -> bytes:
        flags = self._services.memory.flags
        known = flags.all().get(FORM_KEY)
        if known is None:
            flags.set(FORM_KEY, secrets.token_hex(32), "responder", self._services.clock.now())
            known = flags.all()[FORM_KEY]  # another replica's may have won
        return known[0].encode()
