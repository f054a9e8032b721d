"""A ZStack management node for tests: it answers as zstack's public sources say, field by field.

Read for it: RestServer.java, MysqlAsyncRestStore.java, the header packages of host, tag, core and
managementnode, and the global configuration's defaults. The backend of access keys is not public,
so what it says of a wrong key or signature is a guess. No real ZStack was at hand.

What a test has it do wrong stands in Faults, in rest.py. Jobs end when they have been asked for
often enough: nothing here waits.
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.zstack.rest import Job, Json, Refusal, Rest, error


class Zstack(Rest):
    """The state of it all, and what answers."""

    def __init__(self) -> None:
        super().__init__()
        self.hosts: dict[str, Json] = {}
        self.running: dict[str, list[Json]] = {}
        self.pending: dict[str, list[Json]] = {}
        self.tags: dict[str, Json] = {}
        self.nodes = {"mn-1": 0.0, "mn-2": 0.0}
        """Management nodes, and for how many seconds each has given no sign."""
        self.ansible_restarts = False
        """Whether a reconnect restarts the agent, as ansible does where a file has changed."""
        self.restart_agent: Callable[[str], None] = lambda _: None
        self.answers: Callable[[str], bool] = lambda _: True
        """Whether a host's agent answers /host/echo."""
        self.reconnects = 0
        self.left_maintenance: list[str] = []
        """Hosts that somebody took out of maintenance."""

    # -- what tests do ----------------------------------------------------------------------------

    def add_host(self, host: str, **changes: str) -> str:
        """Add a host and return its UUID."""
        host_uuid = uuid.uuid5(uuid.NAMESPACE_DNS, host).hex
        self.hosts[host_uuid] = {
            "name": host,
            "uuid": host_uuid,
            "zoneUuid": uuid.uuid5(uuid.NAMESPACE_DNS, "zone").hex,
            "clusterUuid": uuid.uuid5(uuid.NAMESPACE_DNS, "cluster").hex,
            "managementIp": "127.0.0.1",
            "hypervisorType": "KVM",
            "architecture": "x86_64",
            "state": "Enabled",
            "status": "Connected",
            "createDate": "Nov 2, 2026 9:05:00 AM",
            "lastOpDate": "Nov 2, 2026 9:05:00 AM",
            **changes,
        }
        return host_uuid

    def task(self, name: str, api_name: str | None = None, **changes: Any) -> Json:
        """Return a task of a chain, as ChainInfo lists it."""
        return {
            "name": name,
            "className": "org.zstack.core.thread.ChainTask",
            "index": 0,
            "pendingTime": 0,
            "executionTime": 12,
            "context": json.dumps({"threadContext": {"api": "x"}}),
            "contextList": [],
            "apiId": uuid.uuid5(uuid.NAMESPACE_DNS, name).hex,
            "apiName": api_name,
            **changes,
        }

    def run(self, host_uuid: str, name: str) -> None:
        self.running.setdefault(host_uuid, []).append(self.task(name))

    def queue(self, host_uuid: str, name: str) -> None:
        waiting = self.task(name, pendingTime=3, executionTime=None)
        self.pending.setdefault(host_uuid, []).append(waiting)

    # -- what it serves ---------------------------------------------------------------------------

    def routes(self) -> Mapping[tuple[str, str], Callable[..., Json | Job]]:
        """Return what serves each method and path."""
        return {
            ("GET", "/v1/management-nodes"): self._list_nodes,
            ("GET", "/v1/hosts/task-details"): self._tasks_of_hosts,
            ("GET", "/v1/core/task-details"): self._tasks_of_queues,
            ("GET", "/v1/hosts"): self._query_hosts,
            ("GET", r"/v1/hosts/(?P<host>[^/]+)"): self._get_host,
            ("PUT", r"/v1/hosts/(?P<host>[^/]+)/actions"): self._act,
            ("GET", "/v1/user-tags"): self._query_tags,
            ("POST", "/v1/user-tags"): self._create_tag,
            ("DELETE", r"/v1/tags/(?P<tag>[^/]+)"): self._delete_tag,
        }

    # -- hosts, tasks, nodes, tags ----------------------------------------------------------------

    def _list_nodes(self, **_: object) -> Json:
        now = datetime.datetime.now(datetime.UTC) + self.clock_offset
        beats = {name: now - datetime.timedelta(seconds=age) for name, age in self.nodes.items()}
        return _found(
            [
                {
                    "uuid": uuid.uuid5(uuid.NAMESPACE_DNS, name).hex,
                    "hostName": name,
                    "joinDate": "Nov 2, 2026 9:00:00 AM",
                    "heartBeat": f"{at:%b} {at.day}, {at:%Y} {at:%I:%M:%S %p}".replace(" 0", " "),
                }
                for name, at in beats.items()
            ]
        )

    @property
    def _a_node_is_dead(self) -> bool:
        return any(age > 30 for age in self.nodes.values())

    def _lists(self, host_uuid: str) -> Json:
        return {
            "runningTask": self.running.get(host_uuid, []),
            "pendingTask": self.pending.get(host_uuid, []),
        }

    def _tasks_of_hosts(self, query: dict[str, list[str]], **_: object) -> Json:
        """The node that owns a host is asked; where that fails, the host's key is missing."""
        wanted = query.get("hostUuids", [])
        if not wanted or any(one not in self.hosts for one in wanted):
            raise error("SYS.1006", "Cannot find resource", f"[HostVO uuid: {wanted}]")
        results = {} if self._a_node_is_dead else {one: self._lists(one) for one in wanted}
        return {"results": results}

    def _tasks_of_queues(self, query: dict[str, list[str]], **_: object) -> Json:
        """All nodes are asked; those that fail are left out."""
        queues = query.get("syncSignatures", [])
        return {"results": {one: self._lists(one.removeprefix("Host-")) for one in queues}}

    def _get_host(self, host: str, **_: object) -> Json:
        return _found([self.hosts[host]] if host in self.hosts else [])

    def _query_hosts(self, query: dict[str, list[str]], **_: object) -> Json:
        wanted = next((q.removeprefix("uuid?=").split(",") for q in query.get("q", [])), None)
        found = [one for one in self.hosts.values() if wanted is None or one["uuid"] in wanted]
        fields = query.get("fields", [""])[0]
        kept = fields.split(",") if fields else None
        return _found([{k: v for k, v in one.items() if not kept or k in kept} for one in found])

    def _act(self, host: str, body: Json, **_: object) -> Json | Job:
        if host not in self.hosts:
            raise error("SYS.1006", "Cannot find resource", f"HostVO {host}")
        if "changeHostState" in body:
            event = body["changeHostState"].get("stateEvent")
            return Job(lambda: self._change_state(host, event), self.faults.job_polls)
        if "reconnectHost" in body:
            return self._reconnect(host)
        raise Refusal(400, "the body doesn't contain action mapping to the URL")

    def _change_state(self, host: str, event: str) -> Json:
        states = {"enable": "Enabled", "disable": "Disabled", "preMaintain": "PreMaintenance"}
        if event not in states:
            raise error("SYS.1007", "Invalid argument", f"stateEvent {event}")
        there = self.hosts[host]
        if there["state"] in ("PreMaintenance", "Maintenance"):
            self.left_maintenance.append(host)
        there["state"] = states[event]
        return {"inventory": dict(there)}

    def _reconnect(self, host: str) -> Job:
        self.reconnects += 1
        there = self.hosts[host]
        there["status"] = "Connecting"
        task = self.task(f"reconnect-host-{host}", apiName=None)
        self.running.setdefault(host, []).append(task)
        if self.ansible_restarts:
            self.restart_agent(host)

        def finish() -> Json:
            self.running[host].remove(task)
            if self.faults.reconnect_error:
                there["status"] = "Disconnected"
                raise error("HOST.1003", "Unable to reconnect host", self.faults.reconnect_error)
            there["status"] = "Connected"
            return {"inventory": dict(there)}

        return Job(
            finish,
            self.faults.job_polls,
            lambda: bool(self.faults.reconnect_error) or self.answers(host),
        )

    def _query_tags(self, query: dict[str, list[str]], **_: object) -> Json:
        wanted = query["q"][0].removeprefix("resourceUuid=")
        return _found([one for one in self.tags.values() if one["resourceUuid"] == wanted])

    def _create_tag(self, body: Json, **_: object) -> Job:
        params = body["params"]

        def finish() -> Json:
            tag = {
                "uuid": uuid.uuid4().hex,
                "resourceUuid": params["resourceUuid"],
                "resourceType": params["resourceType"],
                "tag": params["tag"],
                "type": "User",
                "createDate": "Nov 27, 2026 2:25:31 PM",
                "lastOpDate": "Nov 27, 2026 2:25:31 PM",
            }
            self.tags[tag["uuid"]] = tag
            return {"inventory": tag}

        return Job(finish, self.faults.job_polls)

    def _delete_tag(self, tag: str, **_: object) -> Job:
        def finish() -> Json:
            self.tags.pop(tag, None)
            return {}

        return Job(finish, self.faults.job_polls)


def _found(inventories: list[Json]) -> Json:
    return {"inventories": inventories, "schema": {}}
