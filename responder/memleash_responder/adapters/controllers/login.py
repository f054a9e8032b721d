"""A token that a controller gives for a login: shared by all threads, renewed when it expired."""

from __future__ import annotations

import threading
from collections.abc import Callable

from memleash_responder.adapters.controllers.controller import Wait


class Login:
    """The token of one controller."""

    def __init__(self, log_in: Callable[[Wait], str]) -> None:
        self._log_in = log_in
        self._lock = threading.Lock()
        self._token = ""

    def token(self, wait: Wait) -> str:
        """Return the token, after a login where there is none. Raises what the login raises."""
        with self._lock:
            if not self._token:
                self._token = self._log_in(wait)
            return self._token

    def forget(self, token: str) -> None:
        """Have the next call log in, unless another did so meanwhile."""
        with self._lock:
            if self._token == token:
                self._token = ""
