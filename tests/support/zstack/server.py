"""A ZStack management node for tests: it answers as zstack's public sources say, field by field.

Read for it: RestServer.java, MysqlAsyncRestStore.java, the header packages of host, tag, core and
managementnode, and the global configuration's defaults. The backend of access keys is not public,
so what it says of a wrong key or signature is a guess. No real ZStack was at hand.

What a test has it do wrong stands in Faults. Jobs end when they have been asked for often enough:
nothing here waits.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import hashlib
import hmac
import json
import re
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from demo.http_server import Raw, Reply, Request, serving

CONTEXT = "/zstack"
KEY_ID, KEY_SECRET = "Vt4CMkGBGGLdkTMtVJ0q", "2JsiMkvzgBBhMVLTbYyEpTjGYoyBMcLmaDQmBJZr"
ACCOUNT, PASSWORD = "memleash", "a password"
UNREACHABLE = "http://172.31.255.254:8080"
"""The address of its own that it puts into the places of jobs."""
SKEW = datetime.timedelta(minutes=15)
_DATE = re.compile(r"(\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d) (GMT|UTC)?(?:([+-]\d\d):(\d\d))?")
_JOB = re.compile(r"/v1/api-jobs/([^/]+)")

Json = dict[str, Any]


@dataclasses.dataclass(slots=True)
class Faults:
    """What it does wrong, by default nothing."""

    errors: set[str] = dataclasses.field(default_factory=set)
    """Beginnings of ``METHOD path`` that are answered 503."""
    halves: set[str] = dataclasses.field(default_factory=set)
    """Keys that are left out of every answer, wherever they stand."""
    hang: bool = False
    seconds: float = 0.0
    """How long each answer takes."""
    cut: int = 0
    """So many answers to PUT are lost, after what was asked for has begun."""
    reconnect_error: str = ""
    """What a reconnect fails with."""
    job_polls: int = 1
    """How often a job is asked for before it is done."""


class Refusal(Exception):
    """An answer that is an error: JSON for 503, text for any other."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(str(body))
        self.status, self.body = status, body


@dataclasses.dataclass(slots=True)
class Job:
    """Something asynchronous; ``finish`` gives its result, or raises Refusal."""

    finish: Callable[[], Json]
    polls: int
    is_due: Callable[[], bool] = lambda: True
    """Whether it can be finished, once it was asked for often enough."""
    reply: Reply | None = None


class Zstack:
    """The state of it all, and what answers."""

    def __init__(self) -> None:
        self.faults = Faults()
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
        self.clock_offset = datetime.timedelta()
        """By how much its wall clock is ahead of UTC: its time zone, and what it is wrong by."""
        self.checks_time_zone = False
        self.asked: list[str] = []
        self.logins = 0
        self.reconnects = 0
        self.left_maintenance: list[str] = []
        """Hosts that somebody took out of maintenance."""
        self._sessions: set[str] = set()
        self._jobs: dict[str, Job] = {}

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

    def expire_sessions(self) -> None:
        self._sessions.clear()

    def forget_jobs(self) -> None:
        self._jobs.clear()

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """Serve it on a free port; yield the URL of its REST API."""
        with serving(self.answer) as served:
            yield f"{served.url}{CONTEXT}/v1"

    # -- the REST server --------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply | Raw:
        path = urllib.parse.unquote(request.route).removeprefix(CONTEXT)
        self.asked.append(f"{request.method} {path.removeprefix('/v1')}")
        if self.faults.hang:
            return Raw(hang=True)
        time.sleep(self.faults.seconds)
        try:
            reply = self._routed(request, path)
        except Refusal as refusal:
            reply = _reply(refusal.status, refusal.body)
        if self.faults.cut and request.method == "PUT" and path != "/v1/accounts/login":
            self.faults.cut -= 1
            return Raw()
        return reply

    def _routed(self, request: Request, path: str) -> Reply:
        if match := _JOB.fullmatch(path):
            return self._job(request.method, match[1])
        for (method, pattern), handle in self._routes().items():
            found = re.fullmatch(pattern, path)
            if found and method == request.method:
                if path != "/v1/accounts/login":
                    self._authenticate(request, path)
                failing = f"{method} {path.removeprefix('/v1')}"
                if any(failing.startswith(one) for one in self.faults.errors):
                    raise error("SYS.1000", "An internal error happened in system", failing)
                return self._handled(handle, request, found.groupdict())
        raise Refusal(404, f"no api mapping to {path}")

    def _routes(self) -> Mapping[tuple[str, str], Callable[..., Json | Job]]:
        return {
            ("PUT", "/v1/accounts/login"): self._log_in,
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

    def _handled(
        self, handle: Callable[..., Json | Job], request: Request, names: dict[str, str]
    ) -> Reply:
        query = urllib.parse.parse_qs(request.query)
        body = request.json() if request.body else {}
        job_id = request.headers.get("X-Job-UUID")
        if job_id is not None and request.method != "GET":
            if len(job_id) != 32:
                raise Refusal(
                    400, "Invalid header[X-Job-UUID], it must be a UUID with '-' stripped"
                )
            if job_id in self._jobs:
                raise Refusal(400, f"Duplicate job uuid[{job_id}]")
        done = handle(body=body, query=query, **names)
        if isinstance(done, Job):
            job_id = job_id or uuid.uuid4().hex
            self._jobs[job_id] = done
            place = f"{UNREACHABLE}{CONTEXT}/v1/api-jobs/{job_id}"
            return _reply(202, self._halved({"location": place, "apiTimeout": 1_800_000}))
        return _reply(200, self._halved(done))

    def _job(self, method: str, job_id: str) -> Reply:
        if method != "GET":
            raise Refusal(405, "only GET method is allowed for querying job status")
        job = self._jobs.get(job_id)
        if job is None:
            raise Refusal(404, "the job has been expired")
        job.polls -= 1
        if job.reply is None and (job.polls >= 0 or not job.is_due()):
            return _reply(202, {})
        if job.reply is None:
            try:
                job.reply = _reply(200, self._halved(job.finish()))
            except Refusal as refusal:
                job.reply = _reply(refusal.status, refusal.body)
        return job.reply

    def _halved(self, value: Any) -> Any:
        if isinstance(value, dict):
            kept = {key: one for key, one in value.items() if key not in self.faults.halves}
            return {key: self._halved(one) for key, one in kept.items()}
        return [self._halved(one) for one in value] if isinstance(value, list) else value

    # -- authentication ---------------------------------------------------------------------------

    def _authenticate(self, request: Request, path: str) -> None:
        authorization = request.headers.get("Authorization")
        if authorization is None:
            raise Refusal(400, "missing header 'Authorization'")
        if authorization.startswith("OAuth"):
            if authorization.removeprefix("OAuth").strip() not in self._sessions:
                raise error("ID.1001", "Session expired", "Session expired")
        elif authorization.startswith("ZStack"):
            self._check_signature(request, path, authorization.removeprefix("ZStack").strip())
        else:
            raise Refusal(400, "Authorization type must be 'OAuth'")

    def _check_signature(self, request: Request, path: str, given: str) -> None:
        date = request.headers.get("Date")
        if date is None:
            raise Refusal(400, "'Date' must be incuded in request header")
        match = _DATE.fullmatch(date)
        if match is None:
            raise Refusal(
                400, "'Date' format error, correct format is 'EEE, dd MMM yyyy HH:mm:ss z'"
            )
        told = datetime.datetime.strptime(match[1], "%a, %d %b %Y %H:%M:%S")  # noqa: DTZ007
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        if self.checks_time_zone:
            told -= datetime.timedelta(hours=int(match[3] or 0), minutes=int(match[4] or 0))
        else:
            now += self.clock_offset
        if abs(told - now) > SKEW:
            raise Refusal(403, "requestTimeTooSkewed")
        parts = given.split(":")
        if len(parts) != 2:
            raise Refusal(400, "accessKey format is 'ZStack AccessKeyId:Signature'")
        text = f"{request.method}\n{date}\n{path}".encode()
        signature = base64.b64encode(hmac.digest(KEY_SECRET.encode(), text, hashlib.sha1)).decode()
        if parts != [KEY_ID, signature]:
            raise error("ID.1000", "Authentication failed", "wrong access key or signature")

    def _log_in(self, body: Json, **_: object) -> Json:
        login = body.get("logInByAccount", {})
        hashed = hashlib.sha512(PASSWORD.encode()).hexdigest()
        if (login.get("accountName"), login.get("password")) != (ACCOUNT, hashed):
            raise error("ID.1000", "Authentication failed", "wrong account name or password")
        self.logins += 1
        session = uuid.uuid4().hex
        self._sessions.add(session)
        return {
            "inventory": {
                "uuid": session,
                "accountUuid": uuid.uuid5(uuid.NAMESPACE_DNS, ACCOUNT).hex,
                "userUuid": uuid.uuid5(uuid.NAMESPACE_DNS, ACCOUNT).hex,
                "expiredDate": "Nov 27, 2026 4:25:31 PM",
                "createDate": "Nov 27, 2026 2:25:31 PM",
            }
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


def error(code: str, description: str, details: str) -> Refusal:
    """Return an answer of 503, as ErrorCode is written."""
    body = {"code": code, "description": description, "details": details, "elaboration": ""}
    return Refusal(503, {"error": body})


def _reply(status: int, body: object) -> Reply:
    if isinstance(body, str):
        return Reply(status, body.encode(), {"Content-Type": "text/plain"})
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
