"""All the controllers of a configuration, asked together: each answer counts, none is left out.

The calls are described in docs/controllers.md. A controller that cannot be asked is Unknown,
never idle.
"""

from __future__ import annotations

import concurrent.futures
import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from memleash_responder.adapters.controllers.check import Finding, check
from memleash_responder.adapters.controllers.controller import FAILURES, Controller, Target, Wait
from memleash_responder.adapters.controllers.http import HttpController
from memleash_responder.adapters.controllers.nova import NovaController
from memleash_responder.adapters.controllers.salt import SaltController
from memleash_responder.adapters.controllers.slurm import SlurmController
from memleash_responder.adapters.controllers.zstack import ZstackController
from memleash_responder.controller_settings import ControllerSettings
from memleash_responder.core.facts import ControllerTasks, Host, Unknown
from memleash_responder.core.host_states import ControllerState, HostState
from memleash_responder.errors import ControllerError, ReconnectFailed

_ASKED_AT_ONCE = 2
_TASKS_KEPT = 100

T = TypeVar("T")
Hosts = Callable[[], Collection[Host]]
"""What tells a controller's own hosts in the inventory now."""

KINDS: Mapping[str, Callable[[Any, Hosts], Controller]] = {
    "http": HttpController,
    "zstack": ZstackController,
    "slurm": SlurmController,
    "salt": SaltController,
    "nova": NovaController,
}
"""Every kind, and its class; it takes its own settings."""


class ControllerClients:
    """All configured controllers."""

    def __init__(self, controllers: tuple[ControllerSettings, ...], hosts: Hosts = tuple) -> None:
        """Take the settings, and what tells the ``hosts`` of the inventory now."""
        self._clients = tuple(_client(one, hosts) for one in controllers)

    def drain(self, host: Host, agent: str, restart_id: str) -> None:
        """Have every controller give ``host`` no new tasks.

        All are tried. Raises ControllerError that names the ones that failed.
        """
        target = Target(host, agent, restart_id)
        self._tell_all(target, "drain", lambda client: client.drain(target, _wait(client)))

    def undrain(self, host: Host, agent: str, restart_id: str) -> None:
        """Have every controller give ``host`` tasks again.

        All are tried. Raises ControllerError that names the ones that failed.
        """
        target = Target(host, agent, restart_id)
        self._tell_all(target, "undrain", lambda client: client.undrain(target, _wait(client)))

    def tasks(self, host: Host, agent: str) -> tuple[ControllerTasks, ...]:
        """Return what each controller that knows of tasks says, two asked at a time."""
        target = Target(host, agent, "")
        asked = [client for client in self._of(host, agent) if client.knows_tasks]
        return tuple(_at_once(asked, lambda client: _tasks(client, target), workers=_ASKED_AT_ONCE))

    def states(self, host: Host) -> tuple[ControllerState, ...]:
        """Return what each controller that knows of states calls ``host``, two asked at a time.

        Whose it is not is left out.
        """
        asked = [client for client in self._clients if client.knows_states]
        said = _at_once(asked, lambda client: _state(client, host), workers=_ASKED_AT_ONCE)
        return tuple(
            ControllerState(client.settings.name, state)
            for client, state in zip(asked, said, strict=True)
            if state is not None
        )

    @property
    def states_by_controller(self) -> Mapping[str, Callable[[Host], HostState | Unknown | None]]:
        """What tells, by controller, what it calls a host; of each that knows of states."""
        return {
            client.settings.name: functools.partial(_state, client)
            for client in self._clients
            if client.knows_states
        }

    def doubts(self, agent: str) -> Mapping[str, str | None]:
        """Return, by controller, why its answers may mean nothing; None where they seem good."""
        asked = [
            client
            for client in self._clients
            if client.knows_tasks and client.settings.has_agent(agent)
        ]
        doubts = _at_once(asked, lambda client: _doubt(client, agent), workers=_ASKED_AT_ONCE)
        return {client.settings.name: why for client, why in zip(asked, doubts, strict=True)}

    def check(self, name: str, host: Host, agent: str) -> list[Finding]:
        """Return what the controller called ``name`` answers about ``host``; it is only asked."""
        (client,) = (one for one in self._clients if one.settings.name == name)
        return check(client, host, agent)

    def reconnect(
        self,
        host: Host,
        agent: str,
        restart_id: str,
        *,
        timeout_seconds: float,
        restart_libvirtd: Collection[str] = (),
        life: float | None = None,
    ) -> None:
        """Have every controller take ``host`` back, and wait until they all did.

        All are asked, at once; ``restart_libvirtd`` names those that are to restart libvirtd, too,
        and ``life`` is the start time of the agent's process. Raises ReconnectFailed that names the
        ones that did not.
        """
        target = Target(host, agent, restart_id)
        wait = Wait.of(timeout_seconds, late="the host was not connected in time")
        problems = self._problems(
            target,
            lambda client: client.reconnect(
                target, wait, restart_libvirtd=client.settings.name in restart_libvirtd, life=life
            ),
            workers=max(1, len(self._clients)),
        )
        if problems:
            raise ReconnectFailed(f"reconnect of {host.name}: {'; '.join(problems)}")

    def _of(self, host: Host, agent: str) -> list[Controller]:
        """Return those that a restart of this agent concerns."""
        return [
            client
            for client in self._clients
            if client.settings.has_host(host) and client.settings.has_agent(agent)
        ]

    def _tell_all(self, target: Target, what: str, tell: Callable[[Controller], None]) -> None:
        problems = self._problems(target, tell, workers=_ASKED_AT_ONCE)
        if problems:
            raise ControllerError(f"{what} of {target.host.name}: {'; '.join(problems)}")

    def _problems(
        self, target: Target, call: Callable[[Controller], None], *, workers: int
    ) -> list[str]:
        """Call every controller; return what went wrong, with the names of those it did with."""

        def problem(client: Controller) -> str | None:
            try:
                call(client)
            except FAILURES as error:
                return f"{client.settings.name}: {error}"
            return None

        asked = self._of(target.host, target.agent)
        return [one for one in _at_once(asked, problem, workers=workers) if one]


def _client(settings: ControllerSettings, hosts: Hosts) -> Controller:
    return KINDS[settings.kind](settings, functools.partial(_own, settings, hosts))


def _own(settings: ControllerSettings, hosts: Hosts) -> list[Host]:
    return [host for host in hosts() if settings.has_host(host)]


def _wait(client: Controller) -> Wait:
    return Wait.of(client.settings.timeout)


def _state(client: Controller, host: Host) -> HostState | Unknown | None:
    if not client.settings.has_host(host):
        return None
    try:
        return client.state(host, _wait(client))
    except FAILURES as error:
        return Unknown(str(error))


def _tasks(client: Controller, target: Target) -> ControllerTasks:
    name = client.settings.name
    try:
        running = client.tasks(target, _wait(client))
    except FAILURES as error:
        return ControllerTasks(name, Unknown(str(error)))
    first = tuple(running[:_TASKS_KEPT])
    return ControllerTasks(name, first, more=len(running) - len(first))


def _doubt(client: Controller, agent: str) -> str | None:
    try:
        return client.doubt(agent, _wait(client))
    except FAILURES as error:
        return str(error)


def _at_once(
    clients: Iterable[Controller], ask: Callable[[Controller], T], *, workers: int
) -> Iterable[T]:
    asked = list(clients)
    if not asked:
        return ()
    with concurrent.futures.ThreadPoolExecutor(workers, "controller") as pool:
        return tuple(pool.map(ask, asked))
