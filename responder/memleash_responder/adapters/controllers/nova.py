"""Controllers of the kind nova: OpenStack's compute service, whose agent is nova-compute.

The reason of a disabled compute service is the mark of a drain, written in the same call. Nova
leaves what is in a cell that it cannot reach out of its lists, without an error: so the service
of a host must be there whenever something about it is said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from memleash_responder.adapters.controllers.controller import (
    FAILURES,
    CallFailed,
    Target,
    Wait,
    is_ours,
    mark,
    name_there,
    task,
)
from memleash_responder.adapters.controllers.nova_api import NovaApi, objects_in
from memleash_responder.controller_settings import DisabledByOthers, NovaSettings, NovaWork
from memleash_responder.core.facts import Host, Task
from memleash_responder.core.host_states import HostState
from memleash_responder.core.untrusted import NAMES_LISTED, line

_POLL_SECONDS = 2.0
_SIGNS_OF_LIFE = 2
"""How often a service must report after its restart. What the former process reported last may
still be on its way to the database, and then counts as one."""
_BINARY = "nova-compute"
_BY_NOVA_ITSELF = "AUTO:"
"""How the reason begins where nova-compute disabled itself, as it does while libvirtd is away."""
_HOST, _TASK = "OS-EXT-SRV-ATTR:host", "OS-EXT-STS:task_state"
_BUILT = "BUILD"
"""The status of a server that is being made. Between two steps of that it has no task_state."""
_ENDED = {"cancelled", "completed", "confirmed", "done", "error", "failed", "finished", "reverted"}
"""Statuses of a migration that nova-compute has nothing to do for any more. One that is not known
counts. ``finished`` is a resize that waits for its user to confirm it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """The nova-compute of a host, as nova shows it."""

    id: str
    host: str
    is_enabled: bool
    disabled_reason: str
    is_up: bool
    is_forced_down: bool
    updated_at: str | None
    """When it was last saved: it reports every 10 s, and each change is a save. None: never."""

    @property
    def is_drained_by_us(self) -> bool:
        """Whether a drain of ours keeps new servers away."""
        return not self.is_enabled and is_ours(self.disabled_reason)

    @property
    def is_disabled_by_somebody(self) -> bool:
        """Whether neither memleash nor nova itself has disabled it."""
        by_nova = self.disabled_reason.startswith(_BY_NOVA_ITSELF)
        return not self.is_enabled and not by_nova and not is_ours(self.disabled_reason)


def service_of(raw: Mapping[str, Any]) -> Service:
    """Return a service that nova shows. Raises CallFailed where what matters is missing."""
    status, state, reason = raw.get("status"), raw.get("state"), raw.get("disabled_reason")
    service_id, host, updated_at = raw.get("id"), raw.get("host"), raw.get("updated_at")
    forced_down = raw.get("forced_down")
    if (
        status not in {"enabled", "disabled"}
        or state not in {"up", "down"}
        or not isinstance(forced_down, bool)
        or not isinstance(service_id, str)  # it is a number before microversion 2.53
        or not isinstance(host, str)
        or not isinstance(reason, str | None)
        or not isinstance(updated_at, str | None)
    ):
        raise CallFailed(f"the compute service of {line(host)}: half an answer")
    return Service(
        service_id,
        host,
        status == "enabled",
        reason or "",
        state == "up",
        forced_down,
        updated_at,
    )


class NovaController:
    """One controller of the kind nova; see Controller."""

    knows_tasks = True
    knows_states = True

    def __init__(self, settings: NovaSettings, hosts: Callable[[], Collection[Host]]) -> None:
        self.settings = settings
        self._hosts = hosts
        self._api = NovaApi(settings)

    def state(self, host: Host, wait: Wait) -> HostState | None:
        """Return what nova calls ``host``. One that we have drained is connected all the same."""
        service = self._service(name_there(self.settings, host), wait)
        if self._is_in_maintenance(service):
            return HostState.MAINTENANCE
        return HostState.CONNECTED if service.is_up else HostState.DISCONNECTED

    def drain(self, target: Target, wait: Wait) -> None:
        """Disable the compute service, where nobody has: its host gets no new servers."""
        service = self._service(name_there(self.settings, target.host), wait)
        if self._is_in_maintenance(service):
            why = line(service.disabled_reason) or "no reason is given"
            raise CallFailed(
                f"nova-compute of {service.host} was disabled by somebody ({why}), which is "
                f"maintenance: it is left alone"
            )
        if service.is_forced_down:
            raise CallFailed(f"nova-compute of {service.host} is forced down: it is left alone")
        if service.is_enabled:
            reason = {"disabled_reason": mark(target.restart_id)}
            self._set(service, "disabled", wait, reason)

    def undrain(self, target: Target, wait: Wait) -> None:
        """Enable the compute service where the reason that it is disabled for is ours."""
        service = self._service(name_there(self.settings, target.host), wait)
        if service.is_drained_by_us:
            self._set(service, "enabled", wait)

    def tasks(self, target: Target, wait: Wait) -> Sequence[Task]:
        """Return what counts of the work on the host.

        The service is looked for last: had nova not reached its cell, the lists would be empty.
        """
        name = name_there(self.settings, target.host)
        ask = {NovaWork.SERVERS: self._servers, NovaWork.MIGRATIONS: self._migrations}
        running = [one for work in self.settings.count for one in ask[work](name, wait)]
        self._service(name, wait)
        return running

    def reconnect(
        self,
        target: Target,
        wait: Wait,
        *,
        restart_libvirtd: bool,  # noqa: ARG002 - nova knows nothing of it
        life: float | None,  # noqa: ARG002 - the time of a report is by another machine's clock
    ) -> None:
        """Wait until the new nova-compute has reported: it does so by itself.

        Whoever changes the service saves it, too, which looks like a report.
        """
        name = name_there(self.settings, target.host)
        reports: list[str | None] = []
        found = "it has not been seen"
        while True:
            try:
                service = self._service(name, self._of_one_call(wait))
                if reports[-1:] != [service.updated_at]:
                    reports.append(service.updated_at)
                signs = len(reports) - 1
                if service.is_up and signs >= _SIGNS_OF_LIFE:
                    return
                state = "up" if service.is_up else "down"
                found, problem = f"it is {state} and has reported {signs} times since", ""
            except FAILURES as error:
                problem = f"; {error}"
            try:
                wait.pause(_POLL_SECONDS)
            except CallFailed as late:
                raise CallFailed(f"{late}: nova-compute: {found}{problem}") from late

    def doubt(self, agent: str, wait: Wait) -> str | None:
        """Return which hosts of the inventory nova does not know; ask for tasks of one."""
        hosts = list(self._hosts())
        if not hosts:
            return "the inventory has no host of its own"
        listed = objects_in(self._api.get("/os-services", wait, {"binary": _BINARY}), "services")
        known = {one.get("host") for one in listed}
        missing = [name for one in hosts if (name := name_there(self.settings, one)) not in known]
        if missing:
            return f"it does not know {', '.join(missing[:NAMES_LISTED])}"
        self.tasks(Target(hosts[0], agent, ""), wait)
        return None

    def _is_in_maintenance(self, service: Service) -> bool:
        means = self.settings.disabled_by_others
        return service.is_disabled_by_somebody and means is DisabledByOthers.MAINTENANCE

    def _of_one_call(self, wait: Wait) -> Wait:
        return Wait.of(min(wait.remaining_seconds(), self.settings.timeout))

    def _service(self, name: str, wait: Wait) -> Service:
        """Return the compute service of the host called ``name``. Raises CallFailed without one."""
        asked = {"host": name, "binary": _BINARY}
        found = objects_in(self._api.get("/os-services", wait, asked), "services")
        if not found:
            raise CallFailed(f"nova knows no nova-compute of {line(name)}")
        service = service_of(found[0])
        if len(found) > 1 or service.host != name or found[0].get("binary") != _BINARY:
            raise CallFailed(f"nova shows other services than the nova-compute of {line(name)}")
        return service

    def _set(
        self, service: Service, status: str, wait: Wait, reason: Mapping[str, str] | None = None
    ) -> None:
        """Enable or disable a service, and see that it is so.

        Nova saves it first, and answers when nova-compute has heard of it, or has not for a
        minute: without an answer the service itself is looked at.
        """
        path = f"/os-services/{quote(service.id, safe='')}"
        body = {"status": status, **(reason or {})}
        half = Wait.of(wait.remaining_seconds() / 2, wait.late)
        try:
            self._api.put(path, half, body)
        except FAILURES as error:
            problem = str(error)
        else:
            problem = f"PUT {path}: nova answers, and does not do so"
        now = self._service(service.host, wait)
        if now.is_enabled != (status == "enabled"):
            raise CallFailed(problem)

    def _servers(self, name: str, wait: Wait) -> list[Task]:
        """Return the servers of a host that something is done with."""
        asked = {"all_tenants": "1", "host": name}
        servers = self._api.all_pages("/servers/detail", wait, asked)
        for one in servers:
            if _TASK not in one or _HOST not in one or "status" not in one:
                raise CallFailed(f"servers have no {_HOST}: the account must be an administrator's")
            if one[_HOST] != name:
                raise CallFailed(
                    "servers of other hosts are listed: the account must be an administrator's"
                )
        return [
            task(one.get("id"), f"{one[_TASK] or one['status']} {one.get('name')}")
            for one in servers
            if one[_TASK] is not None or one["status"] == _BUILT
        ]

    def _migrations(self, name: str, wait: Wait) -> list[Task]:
        """Return the migrations from and to a host that have not ended. They come in one page."""
        listed = objects_in(self._api.get("/os-migrations", wait, {"host": name}), "migrations")
        if not all(isinstance(one.get("status"), str) for one in listed):
            raise CallFailed("migrations have no status: half an answer")
        return [
            task(one.get("id"), f"{one.get('migration_type')} of {one.get('instance_uuid')}")
            for one in listed
            if one["status"] not in _ENDED
        ]
