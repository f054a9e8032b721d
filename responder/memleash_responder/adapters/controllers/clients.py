"""All the controllers of a configuration, asked together: each answer counts, none is left out.

The calls are described in docs/controllers.md. A controller that cannot be asked is Unknown,
never idle.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar, assert_never

from memleash_responder import settings
from memleash_responder.adapters.controllers.controller import Controller, Wait
from memleash_responder.adapters.controllers.http import HttpController
from memleash_responder.adapters.http.client import HttpError
from memleash_responder.core.facts import ControllerTasks, Host, Unknown
from memleash_responder.core.host_states import ControllerState, HostState
from memleash_responder.errors import ControllerError, ReconnectFailed

_ASKED_AT_ONCE = 2

T = TypeVar("T")


class ControllerClients:
    """All configured controllers; each one's URLs are optional."""

    def __init__(
        self,
        controllers: tuple[settings.Controller, ...],
        names: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Take the settings, and what tells the ``names`` of the inventory's hosts now."""
        self._clients = tuple(_client(one, names) for one in controllers)

    def drain(self, host: Host, agent: str) -> None:
        """Have every controller give ``host`` no new tasks.

        All are tried. Raises ControllerError that names the ones that failed.
        """
        self._tell_all(host, "drain", lambda client: client.drain(host, agent))

    def undrain(self, host: Host, agent: str) -> None:
        """Have every controller give ``host`` tasks again.

        All are tried. Raises ControllerError that names the ones that failed.
        """
        self._tell_all(host, "undrain", lambda client: client.undrain(host, agent))

    def tasks(self, host: Host, agent: str) -> tuple[ControllerTasks, ...]:
        """Return what each controller that knows of tasks says, two asked at a time."""
        asked = [client for client in self._clients if client.knows_tasks]
        return tuple(
            _at_once(asked, lambda client: client.tasks(host, agent), workers=_ASKED_AT_ONCE)
        )

    def states(self, host: Host) -> tuple[ControllerState, ...]:
        """Return what each controller that knows of states calls ``host``, two asked at a time.

        Whose it is not is left out.
        """
        asked = [client for client in self._clients if client.knows_states]
        said = _at_once(asked, lambda client: client.state(host), workers=_ASKED_AT_ONCE)
        return tuple(
            ControllerState(client.name, state)
            for client, state in zip(asked, said, strict=True)
            if state is not None
        )

    @property
    def states_by_controller(self) -> Mapping[str, Callable[[Host], HostState | Unknown | None]]:
        """What tells, by controller, what it calls a host; of each that knows of states."""
        return {client.name: client.state for client in self._clients if client.knows_states}

    def doubts(self, agent: str) -> Mapping[str, str | None]:
        """Return, by controller, why its ``tasks_url`` may be wrong; None where it is not.

        Hosts of the inventory and one that does not exist are asked about, and told apart.
        """
        asked = [client for client in self._clients if client.knows_tasks]
        doubts = _at_once(asked, lambda client: client.doubt(agent), workers=_ASKED_AT_ONCE)
        return {client.name: why for client, why in zip(asked, doubts, strict=True)}

    def reconnect(
        self,
        host: Host,
        agent: str,
        *,
        timeout_seconds: float,
        restart_libvirtd: Collection[str] = (),
    ) -> None:
        """Have every controller take ``host`` back, and wait until they all did.

        All are asked, at once; ``restart_libvirtd`` names those that are to restart libvirtd, too.
        Raises ReconnectFailed that names the ones that did not.
        """
        wait = Wait(time.monotonic() + timeout_seconds)
        problems = self._problems(
            lambda client: client.reconnect(
                host, agent, wait, restart_libvirtd=client.name in restart_libvirtd
            ),
            workers=len(self._clients),
        )
        if problems:
            raise ReconnectFailed(f"reconnect of {host.name}: {'; '.join(problems)}")

    def _tell_all(self, host: Host, what: str, tell: Callable[[Controller], None]) -> None:
        problems = self._problems(tell, workers=_ASKED_AT_ONCE)
        if problems:
            raise ControllerError(f"{what} of {host.name}: {'; '.join(problems)}")

    def _problems(self, call: Callable[[Controller], None], *, workers: int) -> list[str]:
        """Call every controller; return what went wrong, with the names of those it did with."""

        def problem(client: Controller) -> str | None:
            try:
                call(client)
            except HttpError as error:
                return f"{client.name}: {error}"
            return None

        return [one for one in _at_once(self._clients, problem, workers=workers) if one]


def _client(configured: settings.Controller, names: Callable[[], Collection[str]]) -> Controller:
    match configured.kind:
        case "http":
            return HttpController(configured, names)
        case forgotten:
            assert_never(forgotten)


def _at_once(
    clients: Iterable[Controller], ask: Callable[[Controller], T], *, workers: int
) -> Iterable[T]:
    asked = list(clients)
    if not asked:
        return ()
    with concurrent.futures.ThreadPoolExecutor(workers, "controller") as pool:
        return tuple(pool.map(ask, asked))
