"""A token that a controller gives for a login: shared by all threads, renewed when it expired."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from memleash_responder.adapters.controllers.controller import Wait

T = TypeVar("T")


class Login(Generic[T]):
    """The token of one controller, of whichever form."""

    def __init__(
        self, log_in: Callable[[Wait], T], ends_soon: Callable[[T], bool] = lambda _: False
    ) -> None:
        """Take what logs in, and what tells from a token that it is about to expire."""
        self._log_in = log_in
        self._ends_soon = ends_soon
        self._lock = threading.Lock()
        self._token: T | None = None

    def token(self, wait: Wait) -> T:
        """Return the token, after a login where need be. Raises what the login raises."""
        with self._lock:
            if self._token is None or self._ends_soon(self._token):
                self._token = self._log_in(wait)
            return self._token

    def forget(self, token: T) -> None:
        """Have the next call log in, unless another did so meanwhile."""
        with self._lock:
            if self._token == token:
                self._token = None
