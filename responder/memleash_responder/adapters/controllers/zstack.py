"""Controllers of the kind zstack: the management nodes of a ZStack, whose agent is kvmagent.

A host of theirs bears no reason for being disabled, so a user tag on it is the mark: it is there
before the host is disabled, and goes after the host was enabled. Disabling is asked of an enabled
host alone: one in maintenance would be taken out of it by that.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from memleash_responder.adapters.controllers.controller import (
    CallFailed,
    Target,
    Wait,
    is_ours,
    mark,
    name_there,
    task,
)
from memleash_responder.adapters.controllers.zstack_api import ZstackApi, job_id
from memleash_responder.controller_settings import ZstackSettings, ZstackWork
from memleash_responder.core.facts import Host, Task
from memleash_responder.core.host_states import HostState
from memleash_responder.core.untrusted import NAMES_LISTED

_POLL_SECONDS = 1.0
_HOSTS_DOUBTED = 50
_LARGEST_LAG = datetime.timedelta(seconds=30)
"""By how much one management node's heartbeat may lag behind another's; each beats every 5 s."""
_LISTS = {ZstackWork.RUNNING: "runningTask", ZstackWork.PENDING: "pendingTask"}


class _State(enum.StrEnum):
    """What people made of a host."""

    ENABLED = "Enabled"
    """It gets new work."""
    DISABLED = "Disabled"
    """It gets no new VMs; those that run stay."""
    PRE_MAINTENANCE = "PreMaintenance"
    """Its VMs are being moved away."""
    MAINTENANCE = "Maintenance"
    """It is out of service."""


class _Status(enum.StrEnum):
    """Whether the management node reaches the host's agent."""

    CONNECTED = "Connected"
    """It does."""
    CONNECTING = "Connecting"
    """A reconnect is under way."""
    DISCONNECTED = "Disconnected"
    """It does not."""


_STATES = {
    _Status.CONNECTED: HostState.CONNECTED,
    _Status.CONNECTING: HostState.CONNECTING,
    _Status.DISCONNECTED: HostState.DISCONNECTED,
}


@dataclasses.dataclass(frozen=True, slots=True)
class _HostThere:
    """A host as ZStack sees it."""

    state: _State
    status: _Status

    @property
    def in_maintenance(self) -> bool:
        return self.state in (_State.PRE_MAINTENANCE, _State.MAINTENANCE)


class ZstackController:
    """One controller of the kind zstack; see Controller."""

    knows_tasks = True
    knows_states = True

    def __init__(self, settings: ZstackSettings, hosts: Callable[[], Collection[Host]]) -> None:
        self.settings = settings
        self._hosts = hosts
        self._api = ZstackApi(settings)

    def state(self, host: Host, wait: Wait) -> HostState | None:
        """Return what ZStack calls ``host``. One that is disabled is connected all the same."""
        there = self._host(name_there(self.settings, host), wait)
        return HostState.MAINTENANCE if there.in_maintenance else _STATES[there.status]

    def drain(self, target: Target, wait: Wait) -> None:
        """Tag and disable the host, where it is enabled: it gets no new VMs.

        Operations on VMs that run there already still come; the tasks are looked at after this.
        """
        there = name_there(self.settings, target.host)
        host = self._host(there, wait)
        if host.in_maintenance:
            raise CallFailed(f"host {there} is in {host.state}: it is left alone")
        if host.state is _State.DISABLED:
            return
        if not self._our_tags(there, wait):
            tag = {"resourceType": "HostVO", "resourceUuid": there, "tag": mark(target.restart_id)}
            self._api.do("POST", "/user-tags", wait, {"params": tag})
        self._change(there, "disable", _State.DISABLED, target, wait)

    def undrain(self, target: Target, wait: Wait) -> None:
        """Enable the host where it is disabled and has our tag, and take the tag away."""
        there = name_there(self.settings, target.host)
        tags = self._our_tags(there, wait)
        if not tags:
            return
        if self._host(there, wait).state is _State.DISABLED:
            self._change(there, "enable", _State.ENABLED, target, wait)
        for tag in tags:
            self._api.do("DELETE", f"/tags/{quote(tag, safe='')}", wait)

    def _change(self, there: str, event: str, wanted: _State, target: Target, wait: Wait) -> None:
        """Have an enabled host disabled, or the other way round, and see that it is.

        A restart that drains for the second time is answered by its first job; so it is asked anew,
        unless the host went into maintenance meanwhile, which a change would end.
        """
        body = {"changeHostState": {"stateEvent": event}}
        for job in (job_id(target.restart_id, event, there), None):
            self._api.do("PUT", _actions(there), wait, body, job)
            host = self._host(there, wait)
            if host.state is wanted:
                return
            if host.in_maintenance:
                break
        raise CallFailed(f"{event} of host {there}: ZStack agreed, and it is in {host.state}")

    def tasks(self, target: Target, wait: Wait) -> Sequence[Task]:
        """Return what runs on the host, by the node that owns it and by all nodes together.

        A node that does not answer is left out there, and the answer is a good one all the same.
        So the lists of this host must be there, and every node must have been heard of lately.
        """
        there = name_there(self.settings, target.host)
        self._check_nodes(wait)
        queue = f"Host-{there}"
        by_owner = self._api.get("/hosts/task-details", wait, {"hostUuids": there})
        by_all = self._api.get("/core/task-details", wait, {"syncSignatures": queue})
        found = [*self._counted(by_owner, there), *self._counted(by_all, queue)]
        found = [one for one in found if one.get("name") != f"reconnect-host-{there}"]
        return list({_identity(one): _task(one) for one in found}.values())

    def _counted(self, answer: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        results = answer.get("results")
        lists = results.get(key) if isinstance(results, dict) else None
        if not isinstance(lists, dict):
            raise CallFailed(f"task-details: {key} is missing: a management node did not answer")
        counted: list[dict[str, Any]] = []
        for name in (_LISTS[work] for work in self.settings.count):
            listed = lists.get(name)
            if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
                raise CallFailed(f"task-details: {name} of {key} is not a list of tasks")
            counted += listed
        return counted

    def _check_nodes(self, wait: Wait) -> None:
        nodes = _inventories(self._api.get("/management-nodes", wait), "/management-nodes")
        beats = {str(one.get("hostName")): _heartbeat(one.get("heartBeat")) for one in nodes}
        if not beats:
            raise CallFailed("/management-nodes: none is listed")
        late = sorted(name for name, at in beats.items() if max(beats.values()) - at > _LARGEST_LAG)
        if late:
            raise CallFailed(f"management node {', '.join(late)} has given no sign of late")

    def reconnect(
        self,
        target: Target,
        wait: Wait,
        *,
        restart_libvirtd: bool,  # noqa: ARG002 - a setting of ZStack's own
        life: float | None,
    ) -> None:
        """Have ZStack reconnect the host, and wait until it is connected.

        It does so by itself, too, when it next pings an agent that was restarted; the two are one.
        It may restart the agent once more on the way.
        """
        there = name_there(self.settings, target.host)
        host = self._host(there, wait)
        if host.in_maintenance:
            raise CallFailed(f"host {there} is in {host.state}: it is left alone")
        job = None if life is None else job_id(target.restart_id, "reconnect", there, life)
        self._api.do("PUT", _actions(there), wait, {"reconnectHost": {}}, job)
        while (status := self._host(there, wait).status) is not _Status.CONNECTED:
            if status is _Status.DISCONNECTED:
                raise CallFailed(f"host {there} is {status} after its reconnect")
            wait.pause(_POLL_SECONDS)

    def doubt(self, agent: str, wait: Wait) -> str | None:
        """Return which hosts of the inventory ZStack does not know; ask for tasks of one."""
        hosts = list(self._hosts())
        asked = {name_there(self.settings, one): one for one in hosts[:_HOSTS_DOUBTED]}
        if not asked:
            return "the inventory has no host of its own"
        query = {"q": f"uuid?={','.join(asked)}", "fields": "uuid"}
        listed = _inventories(self._api.get("/hosts", wait, query), "/hosts")
        missing = sorted(set(asked) - {str(one.get("uuid")) for one in listed})
        if missing:
            more = f" and {len(missing) - NAMES_LISTED} more" if len(missing) > NAMES_LISTED else ""
            return f"it does not know {', '.join(missing[:NAMES_LISTED])}{more}"
        self.tasks(Target(next(iter(asked.values())), agent, ""), wait)
        return None

    def _host(self, there: str, wait: Wait) -> _HostThere:
        path = f"/hosts/{quote(there, safe='')}"
        found = _inventories(self._api.get(path, wait), path)
        if not found:
            raise CallFailed(f"ZStack knows no host {there}")
        try:
            return _HostThere(_State(str(found[0]["state"])), _Status(str(found[0]["status"])))
        except KeyError as error:
            raise CallFailed(f"host {there}: the answer has no {error}") from error
        except ValueError as error:
            raise CallFailed(f"host {there}: {error}") from error

    def _our_tags(self, there: str, wait: Wait) -> list[str]:
        """Return the ids of the tags on the host that are ours."""
        found = self._api.get("/user-tags", wait, {"q": f"resourceUuid={there}"})
        tags = _inventories(found, "/user-tags")
        return [str(one.get("uuid")) for one in tags if is_ours(str(one.get("tag")))]


def _actions(there: str) -> str:
    return f"/hosts/{quote(there, safe='')}/actions"


def _inventories(answer: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    """Return what a query found. Raises CallFailed for half an answer."""
    found = answer.get("inventories")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise CallFailed(f"{path}: the answer has no list of inventories")
    return found


def _heartbeat(text: object) -> datetime.datetime:
    """Return a time as Gson writes it, ``Apr 24, 2017 3:49:14 PM``; its zone is the node's.

    Newer releases of Java put a comma after the year and a narrow blank before AM and PM.
    """
    words = " ".join(str(text).replace("\u202f", " ").replace(",", "").split())
    try:
        return datetime.datetime.strptime(words, "%b %d %Y %I:%M:%S %p")  # noqa: DTZ007 - compared
    except ValueError as error:
        raise CallFailed(f"/management-nodes: heartBeat {words[:40]!r} is no time") from error


def _identity(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what tells a task from another: two nodes may list the same one."""
    return tuple(str(raw.get(key)) for key in ("apiId", "name", "className", "context"))


def _task(raw: Mapping[str, Any]) -> Task:
    name = raw.get("apiName") or raw.get("name") or raw.get("className")
    return task(raw.get("apiId") or raw.get("name"), name)
