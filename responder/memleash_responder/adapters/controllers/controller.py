"""What a controller of any kind can be asked, and what is the same for all kinds.

A kind is a class in a file of its own that does what Controller says. Nobody but ``clients`` calls
it, and that does for all kinds: which hosts and agents concern it, how long a call may take, that
a failed call is Unknown, and how many tasks are kept.

The rules of every kind:
1. Each call may come twice, and may come after a crash in the middle of it.
2. What is missing, failed or only half an answer raises CallFailed or HttpError. A host that the
   controller does not know is such a failure, too: the setting ``hosts`` says which are its own.
3. A drain of ours bears ``mark(restart_id)``, and ``is_ours`` recognises it. Any restart may end
   what another one left: the id is there for people. What drains writes the mark first, or in the
   same call, so that a crash leaves no drain of ours without it.
4. A drain that is not ours is respected: ``drain`` does nothing then, since no new work comes
   anyway, and ``undrain`` leaves it. Only maintenance is ``HostState.MAINTENANCE``, and nothing is
   done to such a host; where a system has but one way to take a host out of service, somebody
   else's drain is maintenance.
5. A task counts when a restart of this agent would break it. Where that is a choice, it is the
   setting ``count``.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Protocol

from memleash_responder.adapters.http.client import HttpError
from memleash_responder.controller_settings import ControllerSettings
from memleash_responder.core.facts import Host, Task
from memleash_responder.core.host_states import HostState
from memleash_responder.core.untrusted import NAME_CHARACTERS, line, number

MARK = "memleash"
NO_HOST = "memleash-asks.invalid"
"""A host that does not exist (RFC 6761): no controller knows it."""


class CallFailed(Exception):
    """A controller gave no usable answer, or refused; what it did may not be known."""


FAILURES = (CallFailed, HttpError)
"""What the calls of a controller raise."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What a restart is about."""

    host: Host
    agent: str
    restart_id: str
    """Empty where no restart asks."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """How long a call may take, from end to end."""

    deadline: float
    """By time.monotonic()."""
    late: str
    """What to say at the deadline."""

    @classmethod
    def of(cls, seconds: float, late: str = "no whole answer in time") -> Wait:
        """Return one that begins now."""
        return cls(time.monotonic() + seconds, late)

    def remaining_seconds(self) -> float:
        """Return what is left. Raises CallFailed when nothing is."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise CallFailed(self.late)
        return remaining

    def pause(self, seconds: float) -> None:
        """Wait ``seconds``, no longer than the deadline. Raises CallFailed at its end."""
        time.sleep(min(seconds, self.remaining_seconds()))
        self.remaining_seconds()


class Controller(Protocol):
    """One controller, of any kind. Its calls raise CallFailed or HttpError, without its name."""

    @property
    def settings(self) -> ControllerSettings:
        """Its settings, whatever its kind."""

    @property
    def knows_tasks(self) -> bool:
        """Whether it can be asked for tasks."""

    @property
    def knows_states(self) -> bool:
        """Whether it can be asked what it calls a host."""

    def state(self, host: Host, wait: Wait) -> HostState | None:
        """Return what it calls ``host``; None: nothing, it is not its own.

        A drain of ours is not seen in it: such a host is still connected.
        """

    def drain(self, target: Target, wait: Wait) -> None:
        """Give the host no new tasks, once this returns."""

    def undrain(self, target: Target, wait: Wait) -> None:
        """Give the host tasks again, where it was drained by us."""

    def tasks(self, target: Target, wait: Wait) -> Sequence[Task]:
        """Return what runs on the host and counts; see ``task``."""

    def reconnect(
        self, target: Target, wait: Wait, *, restart_libvirtd: bool, life: float | None
    ) -> None:
        """Take the host back, and return when it is connected.

        ``life`` is the start time of the agent's process, unix time by the host's own clock; None:
        nobody knows. A process that began later is as good: a controller may restart it once more.
        """

    def doubt(self, agent: str, wait: Wait) -> str | None:
        """Return why its answers may mean nothing; None when they seem good."""


def mark(restart_id: str) -> str:
    """Return what stands at a drain of ours, for people to find the restart by."""
    return f"{MARK}: {restart_id}" if restart_id else MARK


def is_ours(text: str) -> bool:
    """Whether what stands at a drain says that it is one of ours, of whichever restart."""
    return text == MARK or text.startswith(f"{MARK}:")


def name_there(settings: ControllerSettings, host: Host) -> str:
    """Return what the controller calls ``host``. Raises CallFailed where the label is missing."""
    if settings.host_label is None:
        return host.name
    named = host.labels.get(settings.host_label, "")
    if not named:
        raise CallFailed(f"host {host.name} has no label {settings.host_label} in the inventory")
    return named


def task(task_id: object, name: object) -> Task:
    """Return a task as it can be shown; one without an id or a name still runs."""
    shown_id = _text(task_id) or "?"
    return Task(id=shown_id, name=_text(name) or shown_id)


def _text(raw: object) -> str:
    """Return an id or a name: text, or a number."""
    return line(str(raw) if number(raw) is not None else raw, NAME_CHARACTERS) if raw else ""
