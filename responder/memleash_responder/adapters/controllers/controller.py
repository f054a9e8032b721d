"""What a controller of any kind can be asked: five calls, each of which may come twice."""

from __future__ import annotations

import dataclasses
import time
from typing import Protocol

from memleash_responder.adapters.http.client import HttpError
from memleash_responder.core.facts import ControllerTasks, Host, Unknown
from memleash_responder.core.host_states import HostState


class Controller(Protocol):
    """One controller. Errors are HttpError, without its name; what it has no URL for is no matter.

    To add a kind: a file with a class that does this, its settings, a case in ``clients``.
    """

    @property
    def name(self) -> str:
        """Its name in messages and history."""

    @property
    def knows_tasks(self) -> bool:
        """Whether it can be asked for tasks."""

    @property
    def knows_states(self) -> bool:
        """Whether it can be asked what it calls a host."""

    def state(self, host: Host) -> HostState | Unknown | None:
        """Return what it calls ``host``; None: nothing, it is not its own. No error."""

    def drain(self, host: Host, agent: str) -> None:
        """Give ``host`` no new tasks."""

    def undrain(self, host: Host, agent: str) -> None:
        """Give ``host`` tasks again."""

    def tasks(self, host: Host, agent: str) -> ControllerTasks:
        """Return what runs on ``host``: Unknown where it cannot tell, and no error."""

    def reconnect(self, host: Host, agent: str, wait: Wait, *, restart_libvirtd: bool) -> None:
        """Take ``host`` back, and return when it is connected."""

    def doubt(self, agent: str) -> str | None:
        """Return why its answers about tasks may mean nothing; None when they seem good."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """How long a reconnect may take."""

    deadline: float

    def remaining_seconds(self) -> float:
        """Return what is left. Raises HttpError when nothing is."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise HttpError("the host was not connected in time")
        return remaining

    def pause(self, seconds: float) -> None:
        """Wait ``seconds``, no longer than the deadline. Raises HttpError at its end."""
        time.sleep(min(seconds, self.remaining_seconds()))
        self.remaining_seconds()
