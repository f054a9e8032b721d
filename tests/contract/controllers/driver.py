"""What the conformance suite needs of a kind: how its controller is brought into each situation."""

from __future__ import annotations

from typing import Protocol

from memleash_responder.adapters.controllers.clients import ControllerClients
from memleash_responder.controller_settings import ControllerSettings
from memleash_responder.core.facts import Host

AGENT = "an-agent"


class Driver(Protocol):
    """A controller, the real one or a double, that knows ``host`` and nothing else.

    It begins idle: connected, no tasks, not drained. Each method returns when what it says is so.
    """

    @property
    def settings(self) -> ControllerSettings:
        """Its settings; once it hangs, with a timeout that is soon over."""

    host: Host
    unknown: Host
    """A host of the inventory that the controller has never heard of."""

    def run_task(self, name: str) -> None:
        """Let a task run on the host that counts; its name shows among the running ones."""

    def queue_task(self) -> None:
        """Let work wait for the host that has not begun."""

    def is_drained(self) -> bool:
        """Whether the controller gives the host no new work, by its own word."""

    def drain_by_somebody(self) -> None:
        """Drain the host as an administrator does."""

    def begin_maintenance(self) -> None:
        """Put the host into maintenance as an administrator does."""

    def is_in_maintenance(self) -> bool:
        """Whether it is, by the controller's own word."""

    def kill_node(self) -> None:
        """Have a node of the controller fail, so that it may not see all tasks."""

    def hang(self) -> None:
        """Have the controller accept calls and answer none."""

    def slow_down(self) -> None:
        """Have each answer come late, and still in time."""

    def expire_login(self) -> None:
        """Have the controller forget the session or token that it gave."""

    def halve_answers(self) -> None:
        """Have answers about tasks and states lack what matters in them."""

    def take_long(self) -> None:
        """Have the next reconnect go on for a while before it is done."""

    def refuse_reconnects(self) -> None:
        """Have reconnects fail."""

    def restart_agent_on_reconnect(self) -> None:
        """Have the next reconnect restart the agent once more."""

    def reconnects(self) -> int:
        """Return how many reconnects the controller has begun."""


def clients_of(driver: Driver) -> ControllerClients:
    """Return clients that remember nothing, as those of a responder that was just started."""
    return ControllerClients((driver.settings,), lambda: (driver.host,))
